//! Neighbour entries that do not age: who on a link has which hardware address.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};

use crate::link::Link;
use crate::message::{Object, kind};
use crate::{MacAddr, Request, Result, Socket, attributes};

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
    let mut message = message(link, neighbour.ip);
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(neighbour.mac.0.to_vec()));
    let on = format!("{} at {} on {}", neighbour.ip, neighbour.mac, link.name);
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    Request::new("set the neighbour", on, flags, kind::NEW_NEIGHBOUR, &message)
}

/// Removes an entry. ENOENT when there is none.
///
/// `ip neigh del IP dev LINK`
pub fn delete(link: &Link, ip: IpAddr) -> Request {
    let on = format!("{ip} of {}", link.name);
    Request::new("remove the neighbour", on, 0, kind::DELETE_NEIGHBOUR, &message(link, ip))
}

/// The permanent entries of one link and one family; a dump that the kernel filters. Entries for
/// groups, which the kernel makes itself (`NUD_NOARP`), are left out.
///
/// `ip -4|-6 neigh show dev LINK nud permanent`
pub fn list(socket: &Socket, link: u32, ipv6: bool) -> Result<Vec<Neighbour>> {
    let mut filter = NeighbourMessage::default();
    filter.header.family = family(ipv6);
    // Strict checking wants the link here and not in the header (net/core/neighbour.c,
    // `neigh_valid_dump_req`).
    filter.attributes.push(NeighbourAttribute::IfIndex(link));
    let answer = socket.dump("list the neighbours of link", link, kind::GET_NEIGHBOUR, &filter)?;
    Ok(answer.iter().filter_map(|object| parse(object, link, ipv6)).collect())
}

fn parse(object: &Object, link: u32, ipv6: bool) -> Option<Neighbour> {
    let entry = Entry::split(object)?;
    let wanted = entry.link == link && entry.state == PERMANENT;
    let (mut ip, mut mac) = (None, None);
    for (kind, value) in attributes::of(entry.attributes) {
        match kind {
            DESTINATION => ip = attributes::ip(value),
            HARDWARE_ADDRESS => mac = value.try_into().ok().map(MacAddr),
            _ => {}
        }
    }
    let found = Neighbour { ip: ip?, mac: mac? };
    (wanted && found.ip.is_ipv6() == ipv6).then_some(found)
}

/// `NUD_PERMANENT` (include/uapi/linux/neighbour.h), as the other numbers here.
pub(crate) const PERMANENT: u16 = 0x80;
/// `NDA_DST`.
pub(crate) const DESTINATION: u16 = 1;
/// `NDA_LLADDR`.
pub(crate) const HARDWARE_ADDRESS: u16 = 2;

/// An entry as the kernel tells it, of a neighbour table or of a forwarding database.
pub(crate) struct Entry<'a> {
    /// The index of its link.
    pub link: u32,
    /// One of `NUD_*`.
    pub state: u16,
    /// What stands behind `struct ndmsg`: `NDA_*`.
    pub attributes: &'a [u8],
}

impl<'a> Entry<'a> {
    pub(crate) fn split(object: &'a Object) -> Option<Self> {
        let (head, attributes) = object.payload.split_at_checked(12)?;
        (object.kind == kind::NEW_NEIGHBOUR).then_some(())?;
        Some(Self {
            link: attributes::number(head.get(4..8)?)?,
            state: attributes::short(head.get(8..10)?)?,
            attributes,
        })
    }
}

fn message(link: &Link, ip: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(ip.is_ipv6());
    message.header.ifindex = link.index;
    message.attributes.push(NeighbourAttribute::Destination(ip.into()));
    message
}

fn family(ipv6: bool) -> AddressFamily {
    if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet }
}
