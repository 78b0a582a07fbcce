//! `host-local`: addresses from ranges, remembered in files on this host.

mod add;
mod check;
mod conf;
mod status;

use std::net::IpAddr;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};

use crate::store::Store;
use conf::Place;

/// The address manager `host-local`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostLocal;

impl HostLocal {
    /// Frees the attachment's addresses, and says which they were. Neither ranges nor arguments
    /// are read: what was given must come back also when the config can no longer give. As the
    /// reference, it frees files without interface name only when there are none with it.
    pub fn release(&self, call: &Call) -> Result<Vec<IpAddr>, Error> {
        let place = Place::of(&call.conf)?;
        let Some(mut store) = Store::open(&place.data_dir, &call.conf.network)? else {
            return Ok(Vec::new());
        };
        let mut held = store.held(&call.attachment)?;
        if held.iter().any(|(_, holder)| holder.ifname.is_some()) {
            held.retain(|(_, holder)| holder.ifname.is_some());
        }
        let mut released = Vec::with_capacity(held.len());
        let mut errors = Vec::new();
        for (address, holder) in held {
            match store.release(address, &holder.container) {
                Ok(()) => released.push(address),
                Err(error) => errors.push(error),
            }
        }
        Error::all(errors).map(|()| released)
    }

    /// The attachment's addresses; `None` where they are not known. A store that has none does not
    /// know them: an earlier DEL may have freed them, and failed at what else went with them.
    pub fn leases(&self, call: &Call) -> Option<Vec<IpAddr>> {
        let place = Place::of(&call.conf).ok()?;
        let mut store = Store::open(&place.data_dir, &call.conf.network).ok()??;
        let held = store.held(&call.attachment).ok()?;
        let addresses = held.into_iter().map(|(address, _)| address).collect::<Vec<_>>();
        (!addresses.is_empty()).then_some(addresses)
    }
}

impl Plugin for HostLocal {
    const NAME: &'static str = "host-local";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        add::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        self.release(call).map(|_| ())
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        check::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        let Some(valid) = &call.valid else { return Ok(()) };
        let place = Place::of(&call.conf)?;
        match Store::open(&place.data_dir, &call.conf.network)? {
            Some(mut store) => store.keep_only(valid),
            None => Ok(()),
        }
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        status::status(call)
    }
}

#[cfg(test)]
mod tests;
