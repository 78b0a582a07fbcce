//! Where the kernel would send packets.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage};

use super::read::read;
use super::{Kind, wire};
use crate::message::{Object, kind};
use crate::{Error, Request, Result, Socket};

/// Where the kernel sends packets to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What becomes of them.
    pub kind: Kind,
    /// The link. For addresses of the host itself the one that has the address.
    pub link: Option<u32>,
    /// The gateway.
    pub gw: Option<IpAddr>,
    /// The prefix that matched.
    pub dst: IpNetwork,
    /// Who made the route.
    pub protocol: u8,
}

/// Asks where the kernel would send packets to each address; one answer per address, in order,
/// `None` where it has no route, or one that leads nowhere: `unreachable`, `prohibit`, `blackhole`,
/// which the kernel does not tell apart from each other by more than an errno.
///
/// `ip route get fibmatch IP`
pub fn look_up(socket: &Socket, addresses: &[IpAddr]) -> Vec<Result<Option<Lookup>>> {
    let requests: Vec<_> = addresses.iter().map(|address| request(*address)).collect();
    let answers = socket.answers(&requests);
    std::iter::zip(addresses, answers).map(|(address, answer)| found(*address, answer)).collect()
}

/// What asks for the route of an address. With `RTM_F_FIB_MATCH` the kernel tells the route that
/// matched and not the one that it would make of it for a packet: that one has no prefix, and leads
/// to lo for each address of the host itself.
pub fn request(address: IpAddr) -> Request {
    let (family, length) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.destination_prefix_length = length;
    message.header.flags = RouteFlags::FibMatch;
    message.attributes.push(RouteAttribute::Destination(wire(address)));
    Request::new("look up the route to", address, 0, kind::GET_ROUTE, &message)
}

/// What such a request was answered. Of several hops it is the one that the kernel names first: for
/// IPv6 the one that it would take.
pub fn found(address: IpAddr, answer: Result<Vec<Object>>) -> Result<Option<Lookup>> {
    let objects = match answer {
        Ok(objects) => objects,
        Err(e) if is_no_way(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok(objects.iter().find_map(|object| {
        let received = read(object, address.is_ipv6())?;
        let (link, gw) = match received.hops.first() {
            Some(hop) => (Some(hop.link), hop.gw),
            None => (received.link, received.route.gw),
        };
        let route = received.route;
        Some(Lookup { kind: route.kind, link, gw, dst: route.dst, protocol: route.protocol })
    }))
}

/// True when the kernel says by an errno where packets would go: nowhere. EHOSTUNREACH is an
/// `unreachable` route, EACCES a `prohibit` one, and EINVAL a blackhole (net/ipv4/fib_semantics.c,
/// `fib_props`; net/ipv6/route.c, `ip6_rt_type_to_error`). A request that is itself invalid is
/// refused in words.
fn is_no_way(error: &Error) -> bool {
    match error.errno() {
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES => true,
        libc::EINVAL => error.ext_ack.is_none(),
        _ => false,
    }
}
