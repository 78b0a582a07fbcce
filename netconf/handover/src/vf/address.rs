//! A VF's two addresses: the administrative one, which its physical function keeps, and the one that its
//! interface has. Where they differ, some hardware drops what the VF sends, without a word (igb).
//!
//! igbvf takes any address while there is no administrative one. Once there is, it takes that one alone,
//! and only after its next reset: until then even that is refused (EADDRNOTAVAIL). So a VF is let choose
//! before it is told.

use std::time::Duration;

use cni::{Code, Error};
use kernel::MacAddr;
use kernel::link::Vf;

use super::Handle;
use super::handle::{again, is_busy};

/// How long a VF that resets itself is waited for.
const RESET: Duration = Duration::from_secs(5);

/// Sets the address of the VF's interface, wherever that is.
pub type Own<'a> = &'a mut dyn FnMut(MacAddr) -> kernel::Result<()>;

impl Handle<'_> {
    /// Gives the VF an address, on both sides.
    ///
    /// Some physical functions (Intel's) list the VF's own choice where others list the administrative
    /// address. One that follows the choice of a VF without privileges has listed just that before, too:
    /// there was no administrative address, and `remember` is told so, before there is one.
    pub fn take_mac(
        &self,
        original: &Vf,
        mac: MacAddr,
        own: Own<'_>,
        remember: &mut dyn FnMut(&Vf) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let choice = if original.mac == Some(mac) { another()? } else { mac };
        if patiently(choice, own).is_err() {
            return self.put_mac(Some(mac), mac, own);
        }
        let follows = self.read()?.is_some_and(|vf| vf.mac == Some(choice));
        if follows && original.mac.is_some() && original.trust != Some(true) {
            remember(&Vf { mac: None, ..original.clone() })?;
        }
        if choice != mac {
            patiently(mac, own)?;
        }
        self.set_mac(Some(mac))
    }

    /// Gives both addresses back: `mac` is what the interface had.
    pub fn give_mac(&self, original: &Vf, mac: MacAddr, own: Own<'_>) -> Result<(), Error> {
        // The VF takes its address without more ado when it has not been told one yet.
        if original.mac.is_some() && patiently(mac, own).is_ok() {
            let now = self.read()?;
            return match now {
                Some(now) if now.mac != original.mac => self.set_mac(original.mac),
                _ => Ok(()),
            };
        }
        self.put_mac(original.mac, mac, own)
    }

    /// Sets both sides, whatever they were: the administrative address `None` leaves the VF its choice.
    /// Where the driver knows no way back to that, the VF's own becomes the administrative one.
    fn put_mac(&self, admin: Option<MacAddr>, mac: MacAddr, own: Own<'_>) -> Result<(), Error> {
        let free = self.set_mac(None);
        if let Err(e) = patiently(mac, own) {
            return Err(free.err().unwrap_or_else(|| e.into()));
        }
        match (admin, free) {
            (Some(_), _) => self.set_mac(admin),
            (None, Ok(())) => self.tell(mac, own),
            (None, Err(_)) => self.set_mac(Some(mac)),
        }
    }

    /// Lets the VF tell its address again. An interface that has an address already is not given it once
    /// more (net/core/dev.c, `netif_set_mac_address`), so that igb, which has just been told to forget it,
    /// would hear nothing, and give the VF no packets.
    fn tell(&self, mac: MacAddr, own: Own<'_>) -> Result<(), Error> {
        if self.read()?.is_none_or(|vf| vf.mac.is_some()) {
            return Ok(());
        }
        patiently(another()?, own)?;
        Ok(patiently(mac, own)?)
    }
}

/// An address that no function has.
fn another() -> Result<MacAddr, Error> {
    let failed = |e: std::io::Error| Error::new(Code::IO, format!("a random address: {e}"));
    MacAddr::random().map_err(failed)
}

fn patiently(mac: MacAddr, own: Own<'_>) -> kernel::Result<()> {
    again(RESET, is_busy, || own(mac))
}
