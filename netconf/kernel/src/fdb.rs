//! The forwarding database of a VXLAN device: behind which node (VTEP) a hardware address is.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};

use crate::link::Link;
use crate::message::{Object, kind};
use crate::neighbour::{DESTINATION, HARDWARE_ADDRESS, PERMANENT};
use crate::{MacAddr, Request, Result, Socket, attributes, neighbour};

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
    let on = format!("{} behind {} on {}", entry.mac, entry.vtep, link.name);
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    Request::new("set the FDB entry", on, flags, kind::NEW_NEIGHBOUR, &message(link, entry))
}

/// Removes an entry. ENOENT when there is none for the hardware address; one that leads to another
/// VTEP stays, and the kernel says nothing.
///
/// `bridge fdb del MAC dev LINK dst VTEP self`
pub fn delete(link: &Link, entry: &Entry) -> Request {
    let on = format!("{} behind {} of {}", entry.mac, entry.vtep, link.name);
    Request::new("remove the FDB entry", on, 0, kind::DELETE_NEIGHBOUR, &message(link, entry))
}

/// The permanent entries of one device; a dump that the kernel filters. Those for the zero address are
/// default destinations, of which there may be several. Learned ones are left out, as are those for groups
/// without a VTEP.
///
/// `bridge fdb show dev LINK`
pub fn list(socket: &Socket, link: u32) -> Result<Vec<Entry>> {
    let mut filter = NeighbourMessage::default();
    filter.header.family = AddressFamily::Bridge;
    // Kernels with strict checking and those without find it here (net/core/rtnetlink.c,
    // `valid_fdb_dump_strict`, `valid_fdb_dump_legacy`).
    filter.header.ifindex = link;
    let answer = socket.dump("list the FDB entries of link", link, kind::GET_NEIGHBOUR, &filter)?;
    Ok(answer.iter().filter_map(|object| parse(object, link)).collect())
}

/// Where the device is also the port of a bridge, the bridge's entries come too; they have no VTEP.
fn parse(object: &Object, link: u32) -> Option<Entry> {
    let entry = neighbour::Entry::split(object)?;
    let wanted = entry.link == link && entry.state & PERMANENT != 0;
    let (mut vtep, mut mac) = (None, None);
    for (kind, value) in attributes::of(entry.attributes) {
        match kind {
            DESTINATION => vtep = attributes::ip(value),
            HARDWARE_ADDRESS => mac = value.try_into().ok().map(MacAddr),
            _ => {}
        }
    }
    let found = Entry { mac: mac?, vtep: vtep? };
    wanted.then_some(found)
}

fn message(link: &Link, entry: &Entry) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = link.index;
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Own;
    message.attributes = vec![
        NeighbourAttribute::Destination(entry.vtep.into()),
        NeighbourAttribute::LinkLayerAddress(entry.mac.0.to_vec()),
    ];
    message
}
