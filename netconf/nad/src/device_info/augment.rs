//! What a plugin knows of a device beyond what its device plugin told.

use cni::{Error, Json};

use super::{Device, DeviceInfo, PciInfo, VERSION, file};

/// Completes the device information in the file at `path` (`runtimeConfig.CNIDeviceInfoFile`), or
/// begins it where there is none. Whatever others wrote stays: a key is added only where it is missing
/// or empty. In the information of a vDPA device, those keys of [`PciInfo`] are added that it has.
///
/// What is in the file must be about the same device: code 7 if not. For the path see
/// [`write()`](super::write()).
pub fn augment(path: &str, info: &PciInfo) -> Result<(), Error> {
    let Some(found) = file::read(path)? else {
        return file::write(path, &Device::Pci(info.clone()).into());
    };
    match augmented(&found, info).map_err(|e| e.while_(format_args!("the file {path}")))? {
        Some(new) => file::write(path, &new),
        None => Ok(()),
    }
}

/// `found` with what it lacks, `None` when it lacks nothing.
pub(super) fn augmented(found: &DeviceInfo, info: &PciInfo) -> Result<Option<DeviceInfo>, Error> {
    let own = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let pf = ("pf-pci-address", own(&info.pf_pci_address));
    let representor = ("representor-device", own(&info.representor_device));
    let (kind, address, wanted) = match found.device() {
        Device::Pci(pci) => {
            let vhost_net = ("vhost-net", own(&info.vhost_net));
            let rdma = ("rdma-device", own(&info.rdma_device));
            ("pci", Some(&pci.pci_address), vec![vhost_net, rdma, pf, representor])
        }
        Device::Vdpa(vdpa) => {
            let address = ("pci-address", Some(info.pci_address.clone()));
            ("vdpa", vdpa.pci_address.as_ref(), vec![address, pf, representor])
        }
        Device::VhostUser(_) | Device::Memif(_) => {
            let kind = found.tree().get("type").cloned().unwrap_or_default();
            return Err(Error::config("type", kind, "the information is about a socket")
                .details(format!("the device is {}", info.pci_address)));
        }
    };
    if let Some(other) = address.filter(|a| !a.is_empty() && !is_same(a, &info.pci_address)) {
        let (key, value) = (format!("{kind}.pci-address"), Json::from(other.as_str()));
        return Err(Error::config(&key, value, "the information is about another device")
            .details(format!("the device is {}", info.pci_address)));
    }
    let mut inner = found.tree().get(kind).cloned().unwrap_or_default();
    let missing = |inner: &Json, key| inner.get(key).is_none_or(|v| v.as_str() == Some(""));
    let mut changed = false;
    for (key, value) in wanted {
        if let Some(value) = value.filter(|_| missing(&inner, key)) {
            inner.set(key, value.into());
            changed = true;
        }
    }
    if !changed {
        return Ok(None);
    }
    let mut tree = found.tree().clone();
    tree.set(kind, inner);
    // The keys just added came with 1.1.0.
    if matches!(tree.get("version").and_then(Json::as_str), None | Some("" | "1.0.0")) {
        tree.set("version", VERSION.into());
    }
    DeviceInfo::from_json(tree).map(Some)
}

/// The device plugin writes addresses as sysfs does; the letter case may differ all the same.
fn is_same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}
