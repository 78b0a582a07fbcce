//! Devices that an earlier plan had and the one of now has not.

use cni::Error;
use kernel::Socket;
use kernel::link::{self, Link};

use crate::difference::alias;
use crate::planned::Planned;
use crate::record::Record;
use crate::settle::Network;

impl Network<'_> {
    /// The devices that an earlier plan had and this one has not, if they are there and ours; and where one is
    /// missing, those that bear our mark, whatever they are called: somebody may have renamed it.
    pub(crate) fn outlived(
        &self,
        socket: &Socket,
        planned: &Planned,
        before: &Record,
    ) -> Result<Vec<Link>, Error> {
        let (ours, devices) = (alias(&self.config.options.network), planned.devices());
        let mut links = Vec::new();
        for name in before.devices.iter().filter(|name| !devices.contains(name)) {
            let found = link::get(socket, name)?;
            links.extend(found.filter(|link| link.alias.as_deref() == Some(ours.as_str())));
        }
        let mut is_missing = false;
        for name in &devices {
            is_missing |= link::get(socket, name)?.is_none();
        }
        if is_missing {
            let is_tunnel = |link: &Link| ["vxlan", "ipip"].contains(&link.kind.as_str());
            let known = |link: &Link| {
                devices.contains(&link.name) || links.iter().any(|other| other.index == link.index)
            };
            let renamed: Vec<Link> = link::list(socket)?
                .into_iter()
                .filter(|link| link.alias.as_deref() == Some(ours.as_str()))
                .filter(|link| is_tunnel(link) && !known(link))
                .collect();
            links.extend(renamed);
        }
        Ok(links)
    }
}

/// Removes links that may be gone.
pub fn remove(socket: &Socket, links: &[Link]) -> Result<(), Error> {
    for link in links {
        match socket.run(link::delete(link.index, &link.name)) {
            Err(e) if !e.is_gone() => return Err(e.into()),
            _ => {}
        }
    }
    Ok(())
}
