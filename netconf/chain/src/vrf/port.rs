//! An interface gets a master, or loses it, and keeps what it has: the kernel sets it down for that, and with
//! that its routes go, and IPv6 addresses that are not told to stay.

use cni::Error;
use kernel::Socket;
use kernel::address::{self, Address};
use kernel::link::{self, Link};
use kernel::route::{self, MAIN, Route};

use crate::tables;

/// `RTPROT_KERNEL`: what the kernel makes of addresses, and makes again.
const KERNELS_OWN: u8 = 2;

/// What an interface has that may go.
#[derive(Clone)]
pub struct Belongings {
    addresses: Vec<Address>,
    routes: Vec<Route>,
}

impl Belongings {
    /// Looks at what it has.
    pub fn of(socket: &Socket, link: &Link) -> Result<Self, Error> {
        let mut routes = Vec::new();
        for ipv6 in [false, true] {
            let all = route::anywhere(socket, link.index, ipv6)?;
            routes.extend(all.into_iter().filter(|route| route.protocol != KERNELS_OWN));
        }
        routes.sort_by_key(|route| route.gw.is_some());
        let addresses = address::list(socket, link.index, true)?;
        let addresses = addresses.into_iter().filter(|address| address.global).collect();
        Ok(Self { addresses, routes })
    }

    /// The routes in a table.
    pub fn routes_in(&self, table: u32) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(move |route| route.table() == table)
    }

    /// Gives back what went. Routes of the table `from` are put into `to`; those of others where they were.
    pub fn restore(&self, socket: &Socket, link: &Link, from: u32, to: u32) -> Result<(), Error> {
        let have = address::list(socket, link.index, true)?;
        let missing = |address: &&Address| have.iter().all(|own| own.address != address.address);
        let add = |own: &Address| {
            // It was found to be alone before.
            let options = address::Options { no_dad: true, no_prefix_route: own.no_prefix_route };
            address::add(link, own.address, options)
        };
        let addresses: Vec<_> = self.addresses.iter().filter(missing).map(add).collect();
        tables::add(socket, &addresses)?;
        let moved = self.routes.iter().map(|route| {
            let table = if route.table() == from { to } else { route.table() };
            let table = (table != MAIN).then_some(table);
            route::add(link, &Route { table, ..route.clone() })
        });
        tables::add(socket, &moved.collect::<Vec<_>>())
    }
}

/// Gives the interface a master (0: none), with all it has: its routes of the table `from` are in `to` then.
pub fn enslave(
    socket: &Socket,
    link: &Link,
    has: &Belongings,
    master: u32,
    (from, to): (u32, u32),
) -> Result<(), Error> {
    socket.run(link::set_master(link.index, &link.name, master))?;
    has.restore(socket, link, from, to)
}

/// Deletes a VRF that has no port. Gone is fine.
pub fn delete_if_empty(socket: &Socket, vrf: &Link) -> Result<(), Error> {
    if link::list(socket)?.iter().any(|link| link.master == Some(vrf.index)) {
        return Ok(());
    }
    match socket.run(link::delete(vrf.index, &vrf.name)) {
        Err(e) if !e.is_gone() => Err(e.into()),
        _ => Ok(()),
    }
}
