//! Routes.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol,
    RouteScope, RouteType,
};

use crate::link::Link;
use crate::message::kind;
use crate::{Request, Result, Socket};

/// `RT_SCOPE_UNIVERSE`: somewhere behind a gateway.
pub const SCOPE_GLOBAL: u8 = 0;
/// `RT_SCOPE_LINK`: on the link itself.
pub const SCOPE_LINK: u8 = 253;
/// `RT_SCOPE_HOST`: on this host.
pub const SCOPE_HOST: u8 = 254;

/// `RTPROT_BOOT`: who made a route did not say who he is.
pub const PROTOCOL_UNTOLD: u8 = 3;

/// What becomes of packets that take a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// They go on through a link.
    #[default]
    Unicast,
    /// They are for this host itself. Never made by us.
    Local,
    /// They are dropped without a word.
    Blackhole,
    /// Anything else: unreachable, prohibit, broadcast. Never made by us.
    Other,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The destination; its host bits must be zero.
    pub dst: IpNetwork,
    /// The gateway.
    pub gw: Option<IpAddr>,
    /// The source address that the host itself uses.
    pub src: Option<IpAddr>,
    /// The scope, see the constants here.
    pub scope: u8,
    /// MTU of the path in bytes.
    pub mtu: Option<u32>,
    /// TCP MSS announced in bytes.
    pub advmss: Option<u32>,
    /// Metric. `None` leaves it to the kernel: 0 for IPv4, 1024 for IPv6.
    pub priority: Option<u32>,
    /// The table; `None` is main (254).
    pub table: Option<u32>,
    /// What becomes of packets.
    pub kind: Kind,
    /// Who made it (`RTPROT_*`): [`PROTOCOL_UNTOLD`] unless set.
    pub protocol: u8,
    /// The gateway is on the link even where no address of the link says so.
    pub onlink: bool,
}

/// A route that the kernel has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Installed {
    /// The link; `None` for a blackhole.
    pub link: Option<u32>,
    /// The route.
    pub route: Route,
}

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

impl Route {
    /// A route to `dst` with nothing else set.
    pub fn to(dst: IpNetwork) -> Self {
        Self {
            dst,
            gw: None,
            src: None,
            scope: SCOPE_GLOBAL,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            kind: Kind::Unicast,
            protocol: PROTOCOL_UNTOLD,
            onlink: false,
        }
    }

    /// The table's number.
    pub fn table(&self) -> u32 {
        self.table.unwrap_or(u32::from(RouteHeader::RT_TABLE_MAIN))
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.dst)?;
        if let Some(gw) = self.gw {
            write!(f, " via {gw}")?;
        }
        if let Some(table) = self.table {
            write!(f, " table {table}")?;
        }
        Ok(())
    }
}

/// Adds a route beside others to the same destination. EEXIST when exactly this one is there.
///
/// `ip route append DST [via GW] dev LINK [src SRC] [metric N] [table N] [mtu N] [advmss N]`
pub fn add(link: &Link, route: &Route) -> Request {
    let on = format!("{route} through {}", link.name);
    Request::new("add the route", on, NLM_F_CREATE, kind::NEW_ROUTE, &message(link.index, route))
}

/// Makes a route, or puts it in the place of the one with the same destination, metric and table.
/// `link` is `None` for a blackhole.
///
/// `ip route replace [blackhole] DST [via GW] [dev LINK] [onlink] proto N [metric N] [mtu N]`
pub fn replace(link: Option<&Link>, route: &Route) -> Request {
    todo!()
}

/// Removes exactly this route: destination, metric, table, protocol, kind, gateway and link must
/// agree. ESRCH when there is none. `on` names the link in errors.
///
/// `ip route del [blackhole] DST [via GW] [dev LINK] proto N [metric N]`
pub fn delete(installed: &Installed, on: &str) -> Request {
    todo!()
}

/// All routes in main that were made under this protocol number. A dump that the kernel filters.
///
/// `ip -4|-6 route show proto N`
pub fn of_protocol(socket: &Socket, ipv6: bool, protocol: u8) -> Result<Vec<Installed>> {
    todo!()
}

/// All routes in main through a link, whoever made them, other than those that the kernel makes
/// itself (`proto kernel`). A dump that the kernel filters.
///
/// `ip -4|-6 route show dev LINK`
pub fn through(socket: &Socket, ipv6: bool, link: u32) -> Result<Vec<Installed>> {
    todo!()
}

/// Asks where the kernel would send packets to each address; one answer per address, in order,
/// `None` where it has no route (ENETUNREACH, EHOSTUNREACH) or an `unreachable` one.
///
/// `ip route get fibmatch IP`
pub fn look_up(socket: &Socket, addresses: &[IpAddr]) -> Vec<Result<Option<Lookup>>> {
    todo!()
}

/// The routes through a link of one family and one table. A dump that the kernel filters.
///
/// `ip -4|-6 route show dev LINK table TABLE`
pub fn list(socket: &Socket, link: u32, ipv6: bool, table: u32) -> Result<Vec<Route>> {
    let mut filter = RouteMessage::default();
    filter.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    filter.attributes.push(RouteAttribute::Oif(link));
    filter.attributes.push(RouteAttribute::Table(table));
    let answer = match socket.dump("list the routes of link", link, kind::GET_ROUTE, &filter) {
        // The table does not exist before its first route.
        Err(e) if e.is_gone() => return Ok(Vec::new()),
        other => other?,
    };
    let messages = answer.iter().filter_map(|o| o.read::<RouteMessage>(kind::NEW_ROUTE));
    let routes = messages.filter_map(|m| parse(&m, link, ipv6));
    Ok(routes.filter(|route| route.table() == table).collect())
}

fn message(link: u32, route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family =
        if route.dst.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    header.destination_prefix_length = route.dst.prefix();
    header.table = u8::try_from(route.table()).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    header.protocol = RouteProtocol::Boot;
    header.scope = RouteScope::from(route.scope);
    header.kind = RouteType::Unicast;

    let attributes = &mut message.attributes;
    if route.dst.prefix() > 0 {
        attributes.push(RouteAttribute::Destination(wire(route.dst.ip())));
    }
    attributes.push(RouteAttribute::Oif(link));
    attributes.push(RouteAttribute::Table(route.table()));
    attributes.extend(route.gw.map(|gw| RouteAttribute::Gateway(wire(gw))));
    attributes.extend(route.src.map(|src| RouteAttribute::PrefSource(wire(src))));
    attributes.extend(route.priority.map(RouteAttribute::Priority));
    let metrics: Vec<_> = [route.mtu.map(RouteMetric::Mtu), route.advmss.map(RouteMetric::Advmss)]
        .into_iter()
        .flatten()
        .collect();
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    message
}

fn parse(message: &RouteMessage, link: u32, ipv6: bool) -> Option<Route> {
    let mut dst = None;
    let mut through = None;
    let unspecified: IpAddr = if ipv6 { [0u16; 8].into() } else { [0u8; 4].into() };
    let mut route = Route::to(IpNetwork::new(unspecified, 0).ok()?);
    route.scope = message.header.scope.into();
    route.table = Some(u32::from(message.header.table));
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(a) => dst = ip(a),
            RouteAttribute::Gateway(a) => route.gw = ip(a),
            RouteAttribute::PrefSource(a) => route.src = ip(a),
            RouteAttribute::Oif(index) => through = Some(*index),
            RouteAttribute::Priority(n) => route.priority = Some(*n),
            RouteAttribute::Table(n) => route.table = Some(*n),
            RouteAttribute::MultiPath(hops) => {
                let hop = hops.iter().find(|hop| hop.interface_index == link)?;
                through = Some(link);
                route.gw = hop.attributes.iter().find_map(|a| match a {
                    RouteAttribute::Gateway(a) => ip(a),
                    _ => None,
                });
            }
            RouteAttribute::Metrics(metrics) => {
                for metric in metrics {
                    match metric {
                        RouteMetric::Mtu(n) => route.mtu = Some(*n),
                        RouteMetric::Advmss(n) => route.advmss = Some(*n),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let length = message.header.destination_prefix_length;
    route.dst = IpNetwork::new(dst.unwrap_or(unspecified), length).ok()?;
    (through == Some(link) && message.header.kind == RouteType::Unicast).then_some(route)
}

fn wire(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(ip) => RouteAddress::Inet(ip),
        IpAddr::V6(ip) => RouteAddress::Inet6(ip),
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}
