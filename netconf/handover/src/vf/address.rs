//! A VF's two addresses: the administrative one, which its physical function keeps, and the one that its
//! interface has. Where they differ, some hardware drops what the VF sends, without a word (igb).

use std::time::Duration;

use cni::Error;
use kernel::MacAddr;
use kernel::link::Vf;

use super::Handle;
use super::handle::{again, is_busy};

/// How long a VF that resets itself is waited for.
const RESET: Duration = Duration::from_secs(5);

/// Sets the address of the VF's interface, wherever that is.
pub type Own<'a> = &'a mut dyn FnMut(MacAddr) -> kernel::Result<()>;

impl Handle<'_> {
    /// Gives the VF an address, on both sides, and gives its record as it is to be remembered.
    ///
    /// The VF's side comes first: while it may choose its address it takes every one. Some physical
    /// functions (Intel's) tell that choice where others tell the administrative address; one that
    /// follows the choice of a VF without privileges has been the VF's own, and there was no
    /// administrative one. When the VF is refused the address, it was told another one before, and it
    /// learns of a new one with its next reset at the earliest (igbvf: EADDRNOTAVAIL even for the same
    /// address): then it is let choose for a moment.
    pub fn take_mac(&self, original: &Vf, mac: MacAddr, own: Own<'_>) -> Result<Vf, Error> {
        let mut original = original.clone();
        if patiently(mac, own).is_ok() {
            let follows = self.read()?.is_some_and(|vf| vf.mac == Some(mac));
            if follows && original.mac != Some(mac) && original.trust != Some(true) {
                original.mac = None;
            }
            self.set_mac(Some(mac))?;
        } else {
            self.put_mac(Some(mac), mac, own)?;
        }
        Ok(original)
    }

    /// Sets both sides, whatever they were: the administrative address `None` leaves the VF its choice.
    /// Where the driver knows no way back to that, the VF's own becomes the administrative one.
    pub fn put_mac(&self, admin: Option<MacAddr>, mac: MacAddr, own: Own<'_>) -> Result<(), Error> {
        let free = self.set_mac(None);
        if let Err(e) = patiently(mac, own) {
            return Err(free.err().unwrap_or_else(|| e.into()));
        }
        match (admin, free) {
            (Some(_), _) => self.set_mac(admin),
            (None, Ok(())) => Ok(()),
            (None, Err(_)) => self.set_mac(Some(mac)),
        }
    }
}

fn patiently(mac: MacAddr, own: Own<'_>) -> kernel::Result<()> {
    again(RESET, is_busy, || own(mac))
}
