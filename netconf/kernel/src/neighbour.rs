//! Neighbour entries that do not age: who on a link has which hardware address.

use std::net::IpAddr;

use crate::link::Link;
use crate::{MacAddr, Request, Result, Socket};

/// A permanent entry (`NUD_PERMANENT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Neighbour {
    /// Whom it is about.
    pub ip: IpAddr,
    /// Its hardware address.
    pub mac: MacAddr,
}

/// Makes an entry, or gives the one for the same address this hardware address.
///
/// `ip neigh replace IP lladdr MAC dev LINK nud permanent`
pub fn replace(link: &Link, neighbour: &Neighbour) -> Request {
    todo!()
}

/// Removes an entry. ENOENT when there is none.
///
/// `ip neigh del IP dev LINK`
pub fn delete(link: &Link, ip: IpAddr) -> Request {
    todo!()
}

/// The permanent entries of one link and one family; a dump that the kernel filters. Entries for
/// groups, which the kernel makes itself (`NUD_NOARP`), are left out.
///
/// `ip -4|-6 neigh show dev LINK nud permanent`
pub fn list(socket: &Socket, link: u32, ipv6: bool) -> Result<Vec<Neighbour>> {
    todo!()
}
