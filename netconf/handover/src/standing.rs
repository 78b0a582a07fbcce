//! How a record stands: whether its device is somebody's, to be given back, or nobody's any more.

use cni::{Code, Error};
use devices::{DeviceId, Roots};
use kernel::Netns;

use crate::desk::Desk;
use crate::record::{Phase, Record};

/// How a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its owner has the device.
    Held,
    /// Its owner is gone, or about to give the device back: whoever comes next does that.
    Left,
    /// It speaks of a device that does not exist any more, or not as it was then: there is nothing to
    /// give back.
    Past,
}

impl Standing {
    /// How this one stands now.
    pub fn of(desk: &Desk, id: &DeviceId, record: &Record) -> Result<Self, Error> {
        if record.boot != desk.boot || !is_the_same(&desk.roots, id, record)? {
            return Ok(Self::Past);
        }
        if record.phase == Phase::Releasing || owners_namespace(record)?.is_none() {
            return Ok(Self::Left);
        }
        Ok(Self::Held)
    }
}

/// The owner's namespace, `None` when it is gone: another one may be at its path.
pub fn owners_namespace(record: &Record) -> Result<Option<Netns>, Error> {
    match Netns::find(&record.owner.netns)? {
        Some(netns) if netns.cookie()? == record.owner.cookie => Ok(Some(netns)),
        _ => Ok(None),
    }
}

/// True while the device is the one that the record speaks of. A device that is gone, or was made anew
/// since, is what its driver made of it.
fn is_the_same(roots: &Roots, id: &DeviceId, record: &Record) -> Result<bool, Error> {
    if matches!(id, DeviceId::Link(_)) {
        return Ok(true);
    }
    match roots.device(id) {
        Ok(device) => Ok(device.incarnation == record.incarnation),
        Err(e) if e.code == Code::CONFIG => Ok(false),
        Err(e) => Err(e),
    }
}
