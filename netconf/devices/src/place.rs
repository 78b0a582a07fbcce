//! From a directory of sysfs to the device that it belongs to.

use std::path::{Path, PathBuf};

use cni::Error;

use crate::{DeviceId, attribute};

/// Whose directory it is, which is below `devices`, and that device's own directory.
pub fn place(at: &Path) -> Result<Option<(DeviceId, PathBuf)>, Error> {
    let name = at.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let own = |id| Ok(Some((id, at.to_owned())));
    let subsystem = attribute::link(&at.join("subsystem"))?;
    match (subsystem.as_deref(), at.parent()) {
        (Some("pci"), _) => own(DeviceId::Pci(name.parse()?)),
        (Some("auxiliary"), _) => own(DeviceId::Aux(name.parse()?)),
        (Some("virtio"), Some(function)) => place(function),
        // A link of USB, VMBus or the platform is known by its name, and has its device's directory.
        (Some("net"), Some(group)) => {
            let link = DeviceId::Link(name.parse()?);
            match group.parent().map(place).transpose()?.flatten() {
                Some((DeviceId::Link(_), of)) => Ok(Some((link, of))),
                Some(function) => Ok(Some(function)),
                None => own(link),
            }
        }
        (Some(_), _) => match attribute::names(&at.join("net"))?.first() {
            Some(name) => own(DeviceId::Link(name.parse()?)),
            None => Ok(None),
        },
        (None, _) => Ok(None),
    }
}
