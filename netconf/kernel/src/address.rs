//! Addresses of links.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use rtnetlink::AddressMessageBuilder;

use crate::link::Link;
use crate::message::kind;
use crate::{Request, Result, Socket};

/// How an address is to be added.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Usable at once, without duplicate address detection (IPv6; `nodad`).
    pub no_dad: bool,
    /// Without the route to its prefix (`noprefixroute`).
    pub no_prefix_route: bool,
}

/// Adds an address. EEXIST when the link has it.
///
/// `ip addr add ADDRESS dev LINK [nodad] [noprefixroute]`
pub fn add(link: &Link, address: IpNetwork, options: Options) -> Request {
    let mut message = message(link.index, address);
    let mut flags = AddressFlags::empty();
    if options.no_dad && address.is_ipv6() {
        flags |= AddressFlags::Nodad;
    }
    if options.no_prefix_route {
        flags |= AddressFlags::Noprefixroute;
    }
    if !flags.is_empty() {
        message.attributes.push(AddressAttribute::Flags(flags));
    }
    let on = format!("{address} to {}", link.name);
    Request::new("add the address", on, NLM_F_CREATE | NLM_F_EXCL, kind::NEW_ADDRESS, &message)
}

/// Removes an address. EADDRNOTAVAIL when the link does not have it.
///
/// `ip addr del ADDRESS dev LINK`
pub fn delete(link: &Link, address: IpNetwork) -> Request {
    let message = message(link.index, address);
    let on = format!("{address} of {}", link.name);
    Request::new("remove the address", on, 0, kind::DELETE_ADDRESS, &message)
}

/// An address that a link has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address and its prefix length.
    pub address: IpNetwork,
    /// False for addresses of link scope, such as `fe80::`.
    pub global: bool,
    /// Duplicate address detection has not ended yet.
    pub tentative: bool,
    /// Duplicate address detection found somebody else.
    pub dad_failed: bool,
    /// The other end's address, where it has one of its own (`peer`): the prefix length is that one's.
    pub peer: Option<IpAddr>,
    /// There is no route to its prefix (`noprefixroute`).
    pub no_prefix_route: bool,
}

/// The addresses of one link and one family. A dump that the kernel filters by link, because
/// there is no get for IPv4.
///
/// `ip -4|-6 addr show dev LINK`
pub fn list(socket: &Socket, link: u32, ipv6: bool) -> Result<Vec<Address>> {
    let mut filter = AddressMessage::default();
    filter.header.family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    filter.header.index = link;
    let answer = socket.dump("list the addresses of link", link, kind::GET_ADDRESS, &filter)?;
    let messages = answer.iter().filter_map(|o| o.read::<AddressMessage>(kind::NEW_ADDRESS));
    // A kernel without strict checking (before 4.20) ignores the filter.
    Ok(messages.filter(|m| m.header.index == link).filter_map(|m| parse(&m)).collect())
}

fn parse(message: &AddressMessage) -> Option<Address> {
    let mut address = None;
    let mut local = None;
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            // On a point-to-point link IFA_ADDRESS is the peer's.
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            _ => {}
        }
    }
    Some(Address {
        address: IpNetwork::new(local.or(address)?, message.header.prefix_len).ok()?,
        global: message.header.scope == AddressScope::Universe,
        tentative: flags.contains(AddressFlags::Tentative),
        dad_failed: flags.contains(AddressFlags::Dadfailed),
        peer: address.filter(|address| local.is_some_and(|local| local != *address)),
        no_prefix_route: flags.contains(AddressFlags::Noprefixroute),
    })
}

fn message(link: u32, address: IpNetwork) -> AddressMessage {
    match address {
        IpNetwork::V4(net) => AddressMessageBuilder::<std::net::Ipv4Addr>::new()
            .index(link)
            .address(net.ip(), net.prefix())
            .build(),
        IpNetwork::V6(net) => AddressMessageBuilder::<std::net::Ipv6Addr>::new()
            .index(link)
            .address(net.ip(), net.prefix())
            .build(),
    }
}

/// The prefix that holds only this address: /32 or /128.
pub fn host(ip: IpAddr) -> IpNetwork {
    match ip {
        IpAddr::V4(ip) => IpNetwork::V4(ip.into()),
        IpAddr::V6(ip) => IpNetwork::V6(ip.into()),
    }
}
