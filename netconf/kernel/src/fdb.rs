//! The forwarding database of a VXLAN device: behind which node (VTEP) a hardware address is.

use std::net::IpAddr;

use crate::link::Link;
use crate::{MacAddr, Request, Result, Socket};

/// A permanent entry (drivers/net/vxlan/vxlan_core.c, `vxlan_fdb_add`). A unicast address has one
/// VTEP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The hardware address.
    pub mac: MacAddr,
    /// The node's address on the underlay.
    pub vtep: IpAddr,
}

/// Makes an entry, or leads the one for the same hardware address to this VTEP.
///
/// `bridge fdb replace MAC dev LINK dst VTEP self permanent`
pub fn replace(link: &Link, entry: &Entry) -> Request {
    todo!()
}

/// Removes an entry. ENOENT when there is none.
///
/// `bridge fdb del MAC dev LINK dst VTEP self`
pub fn delete(link: &Link, entry: &Entry) -> Request {
    todo!()
}

/// The permanent entries of one device; a dump that the kernel filters. Learned ones are left out,
/// as are those for the zero address (default destinations) and for groups without a VTEP.
///
/// `bridge fdb show dev LINK`
pub fn list(socket: &Socket, link: u32) -> Result<Vec<Entry>> {
    todo!()
}
