//! Routes.

mod list;
mod look_up;
mod read;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric,
    RouteProtocol, RouteScope, RouteType,
};

use crate::Request;
use crate::link::Link;
use crate::message::{Object, kind};

pub use list::{
    Described, anywhere, default as default_link, described, list, of_protocol, tables, through,
};
pub use look_up::{Lookup, look_up};
pub(crate) use look_up::{found, request};

/// `RT_SCOPE_UNIVERSE`: somewhere behind a gateway.
pub const SCOPE_GLOBAL: u8 = 0;
/// `RT_SCOPE_LINK`: on the link itself.
pub const SCOPE_LINK: u8 = 253;
/// `RT_SCOPE_HOST`: on this host.
pub const SCOPE_HOST: u8 = 254;

/// `RT_TABLE_MAIN`.
pub const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;
/// `RT_TABLE_LOCAL`: what the kernel makes of the addresses.
pub const LOCAL: u32 = 255;

/// `RTPROT_BOOT`: who made a route did not say who he is.
pub const PROTOCOL_UNTOLD: u8 = 3;

/// The index of `lo`, the same in each namespace (`LOOPBACK_IFINDEX` of include/net/flow.h).
const LOOPBACK: u32 = 1;

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

/// A route that the kernel has, in main; its `table` is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Installed {
    /// The link; `None` for a blackhole.
    pub link: Option<u32>,
    /// The route.
    pub route: Route,
}

/// The route that a notification tells, with its table's number; of several hops the first one's
/// link.
pub(crate) fn received(object: &Object, ipv6: bool) -> Option<Installed> {
    let read::Received { route, link, hops, .. } = read::read(object, ipv6)?;
    Some(Installed { link: link.or_else(|| hops.first().map(|hop| hop.link)), route })
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
        self.table.unwrap_or(MAIN)
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
    let message = message(Some(link.index), route);
    Request::new("add the route", on, NLM_F_CREATE, kind::NEW_ROUTE, &message)
}

/// Makes a route, or puts it in the place of the one with the same destination, metric and table.
/// `link` is `None` for a blackhole.
///
/// `ip route replace [blackhole] DST [via GW] [dev LINK] [onlink] proto N [metric N] [mtu N]`
pub fn replace(link: Option<&Link>, route: &Route) -> Request {
    let on = match link {
        Some(link) => format!("{route} through {}", link.name),
        None => route.to_string(),
    };
    let message = message(link.map(|link| link.index), route);
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    Request::new("set the route", on, flags, kind::NEW_ROUTE, &message)
}

/// Removes exactly this route: destination, metric, table, protocol, kind, gateway and link must
/// agree. ESRCH when there is none. A route without a metric stands for any metric, and one without
/// a gateway for any gateway, which is how the kernel reads it. `on` names the link in errors.
///
/// `ip route del [blackhole] DST [via GW] [dev LINK] proto N [metric N]`
pub fn delete(installed: &Installed, on: &str) -> Request {
    let route = &installed.route;
    let mut message = message(installed.link, route);
    // Of any scope, as `ip` has it; what else the kernel would compare where it is told (source,
    // path MTU) makes no two routes of one.
    message.header.scope = RouteScope::NoWhere;
    message.header.flags = RouteFlags::empty();
    message.attributes.retain(|attribute| {
        !matches!(attribute, RouteAttribute::PrefSource(_) | RouteAttribute::Metrics(_))
    });
    if installed.link.is_none() && route.dst.is_ipv6() {
        // IPv6 does not compare kinds, but its blackholes are routes of lo.
        message.attributes.push(RouteAttribute::Oif(LOOPBACK));
    }
    let on = format!("{route} of {on}");
    Request::new("remove the route", on, 0, kind::DELETE_ROUTE, &message)
}

fn message(link: Option<u32>, route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family =
        if route.dst.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    header.destination_prefix_length = route.dst.prefix();
    header.table = u8::try_from(route.table()).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    header.protocol = RouteProtocol::from(route.protocol);
    header.scope = RouteScope::from(route.scope);
    header.kind = match route.kind {
        Kind::Unicast => RouteType::Unicast,
        Kind::Local => RouteType::Local,
        Kind::Blackhole => RouteType::BlackHole,
        // The kernel refuses it.
        Kind::Other => RouteType::Unspec,
    };
    if route.onlink {
        header.flags |= RouteFlags::Onlink;
    }

    let attributes = &mut message.attributes;
    if route.dst.prefix() > 0 {
        attributes.push(RouteAttribute::Destination(wire(route.dst.ip())));
    }
    attributes.extend(link.map(RouteAttribute::Oif));
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

fn wire(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(ip) => RouteAddress::Inet(ip),
        IpAddr::V6(ip) => RouteAddress::Inet6(ip),
    }
}
