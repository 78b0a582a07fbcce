//! What the container is told about its device: the file that Multus names in
//! `runtimeConfig.CNIDeviceInfoFile` and puts into the pod's network status.

use cni::{Error, NetConf};
use devices::{Device, DeviceId};
use nad::device_info::{self, PciInfo};
use serde::Deserialize;

use crate::desk::Desk;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    runtime_config: RawRuntimeConfig,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRuntimeConfig {
    #[serde(rename = "CNIDeviceInfoFile")]
    file: String,
}

/// The file that is asked for, which is refused here when nobody should write to it. The specification has
/// nothing to say of devices that are not of the PCI bus.
pub fn file(conf: &NetConf, device: &Device) -> Result<Option<String>, Error> {
    let file = conf.decode::<Raw>()?.runtime_config.file;
    if file.is_empty() {
        return Ok(None);
    }
    device_info::read(&file)?;
    Ok(matches!(device.id, DeviceId::Pci(_)).then_some(file))
}

/// Completes it with what sysfs says.
pub fn complete(desk: &Desk, device: &Device, file: &str) -> Result<(), Error> {
    let DeviceId::Pci(address) = &device.id else { return Ok(()) };
    let mut info = PciInfo { pci_address: address.to_string(), ..PciInfo::default() };
    if !device.rdma.is_empty() {
        info.rdma_device = Some(device.rdma.join(","));
    }
    if let Some(vf) = device.vf {
        info.pf_pci_address = Some(vf.pf.to_string());
        let pf = desk.roots.physical_function(vf.pf)?;
        let own = pf.representors.into_iter().find(|(number, _)| *number == vf.index);
        info.representor_device = own.map(|(_, netdev)| netdev.name);
    }
    device_info::augment(file, &info)
}
