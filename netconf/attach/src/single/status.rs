//! STATUS: whether an ADD could be served.

use cni::{Error, StatusCall};
use kernel::link::{self, New};
use kernel::{Netns, Socket};

use super::record::Records;
use super::{Config, Kind, Parent, parent};
use crate::ability::{self, unavailable};

/// Code 7 for options that ADD would refuse; 50 when the parent is missing, the kernel lacks the
/// kind, records cannot be written or the address manager has no addresses.
pub fn status<K: Kind>(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::<K>::parse(&call.conf, None)?;
    let records = Records::of(&call.conf)?;
    if !conf.options.in_container {
        let host = Socket::open().map_err(unavailable)?;
        parent::find::<K>(&host, &conf.options).map_err(unavailable)?;
    }
    attempt(&conf).map_err(unavailable)?;
    records.try_writing().map_err(unavailable)?;
    ability::ask_ipam(call)
}

/// Makes a link of the kind in a namespace that ends with the trial.
fn attempt<K: Kind>(conf: &Config<K>) -> Result<(), Error> {
    let mut outcome = Ok(());
    Netns::trial(|| {
        let socket = Socket::open()?;
        let parent = if K::PARENT == Parent::None { None } else { Some(make_parent(&socket)?) };
        let new = New { name: "trial", netns: None, parent, mac: None, mtu: None };
        outcome = conf.kind.create(&socket, &new);
        Ok(())
    })?;
    outcome
}

fn make_parent(socket: &Socket) -> kernel::Result<u32> {
    socket.run(ability::pair())?;
    Ok(link::get(socket, "near")?.map(|link| link.index).unwrap_or_default())
}
