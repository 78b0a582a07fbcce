//! Routes that the kernel has, many at once.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol};

use super::read::{Received, read};
use super::{Installed, Kind, LOCAL, MAIN, Route, look_up};
use crate::message::{Object, kind};
use crate::{Result, Socket};

/// `RT_TABLE_UNSPEC`: every table.
const ANY: u32 = 0;

/// The routes through a link of one family and one table. A dump that the kernel filters.
///
/// `ip -4|-6 route show dev LINK table TABLE`
pub fn list(socket: &Socket, link: u32, ipv6: bool, table: u32) -> Result<Vec<Route>> {
    let mut filter = filter(ipv6, table);
    filter.attributes.push(RouteAttribute::Oif(link));
    let answer = dump(socket, "list the routes of link", link, &filter)?;
    let routes = answer.iter().filter_map(|object| read(object, ipv6));
    let routes = routes.filter(|r| r.route.table() == table && r.route.kind == Kind::Unicast);
    Ok(routes.filter_map(|received| part(received, link)).collect())
}

/// The routes through a link of one family, in whatever table but the local one; each tells its table.
/// A dump that the kernel filters.
///
/// `ip -4|-6 route show dev LINK table all`
pub fn anywhere(socket: &Socket, link: u32, ipv6: bool) -> Result<Vec<Route>> {
    let mut filter = filter(ipv6, ANY);
    filter.attributes.push(RouteAttribute::Oif(link));
    let answer = dump(socket, "list the routes of link", link, &filter)?;
    let routes = answer.iter().filter_map(|object| read(object, ipv6));
    let routes = routes.filter(|r| r.route.table() != LOCAL && r.route.kind == Kind::Unicast);
    Ok(routes.filter_map(|received| part(received, link)).collect())
}

/// The tables that have a route of one family. A dump of all of them.
///
/// `ip -4|-6 route show table all`
pub fn tables(socket: &Socket, ipv6: bool) -> Result<BTreeSet<u32>> {
    let answer = dump(socket, "list the routes of", "the namespace", &filter(ipv6, ANY))?;
    let routes = answer.iter().filter_map(|object| read(object, ipv6));
    Ok(routes.map(|received| received.route.table()).collect())
}

/// The route as it goes through this link: it, or its hop there.
fn part(mut received: Received, link: u32) -> Option<Route> {
    if let Some(hop) = received.hops.iter().find(|hop| hop.link == link) {
        received.route.gw = hop.gw;
        return Some(received.route);
    }
    (received.link == Some(link)).then_some(received.route)
}

/// The first default route of a family in main that leads through a link. The table is dumped
/// only where asking for one address or another does not tell.
///
/// `ip -4|-6 route show default`
pub fn default(socket: &Socket, ipv6: bool) -> Result<Option<u32>> {
    let probes: [IpAddr; 2] = if ipv6 {
        [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), [0x2000, 0, 0, 0, 0, 0, 0, 1].into()]
    } else {
        [[192, 0, 2, 254].into(), [11, 0, 0, 1].into()]
    };
    let mut missed = true;
    for found in look_up(socket, &probes) {
        let Some(found) = found? else { continue };
        missed = false;
        if found.dst.prefix() == 0 && found.kind == Kind::Unicast && found.link.is_some() {
            return Ok(found.link);
        }
    }
    // A default route would have matched, unless both were meant to lead nowhere.
    if missed {
        return Ok(None);
    }
    let answer = dump(socket, "list the routes of", "table main", &filter(ipv6, MAIN))?;
    let all = answer.iter().filter_map(|object| read(object, ipv6));
    let mut defaults: Vec<_> = all
        .filter(|received| received.route.table() == MAIN && received.route.dst.prefix() == 0)
        .filter(|received| received.route.kind == Kind::Unicast)
        .filter_map(|received| {
            let hop = received.hops.first().map(|hop| hop.link);
            Some((received.route.priority.unwrap_or_default(), received.link.or(hop)?))
        })
        .collect();
    defaults.sort_by_key(|(priority, _)| *priority);
    Ok(defaults.first().map(|(_, link)| *link))
}

/// All routes in main that were made under this protocol number. A dump that the kernel filters.
///
/// `ip -4|-6 route show proto N`
pub fn of_protocol(socket: &Socket, ipv6: bool, protocol: u8) -> Result<Vec<Installed>> {
    let mut filter = filter(ipv6, MAIN);
    filter.header.protocol = RouteProtocol::from(protocol);
    let answer = dump(socket, "list the routes of protocol", protocol, &filter)?;
    let all = answer.iter().filter_map(|object| installed(read(object, ipv6)?));
    Ok(all.filter(|installed| installed.route.protocol == protocol).collect())
}

/// All routes in main through a link, whoever made them, other than those that the kernel makes
/// itself (`proto kernel`). A dump that the kernel filters.
///
/// `ip -4|-6 route show dev LINK`
pub fn through(socket: &Socket, ipv6: bool, link: u32) -> Result<Vec<Installed>> {
    let all = of_link(socket, ipv6, link)?.into_iter().filter_map(installed);
    Ok(all.filter(|installed| installed.link == Some(link)).collect())
}

/// A route that the kernel has, as far as a [`Route`] can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The route; of several hops, without any.
    pub route: Route,
    /// What else it has, as `ip` calls it: `tos`, `nexthop`. Made of [`Described::route`] alone it would
    /// be another route, unless this is empty.
    pub beyond: Vec<&'static str>,
}

/// All routes in main through a link, of every sort and of several hops, too, other than those that the
/// kernel makes itself. A dump that the kernel filters.
///
/// `ip -4|-6 route show dev LINK`
pub fn described(socket: &Socket, ipv6: bool, link: u32) -> Result<Vec<Described>> {
    Ok(of_link(socket, ipv6, link)?
        .into_iter()
        .filter(|received| received.route.table() == MAIN)
        .filter(|received| uses(received, link))
        .map(|Received { mut route, mut beyond, .. }| {
            route.table = None;
            if route.kind != Kind::Unicast {
                beyond.push("a type other than unicast");
            }
            Described { route, beyond }
        })
        .collect())
}

/// What the kernel lists when it is asked for main and a link, less its own. Old kernels do not filter.
fn of_link(socket: &Socket, ipv6: bool, link: u32) -> Result<Vec<Received>> {
    let mut filter = filter(ipv6, MAIN);
    filter.attributes.push(RouteAttribute::Oif(link));
    let answer = dump(socket, "list the routes of link", link, &filter)?;
    let kernels_own = u8::from(RouteProtocol::Kernel);
    let all = answer.iter().filter_map(|object| read(object, ipv6));
    Ok(all.filter(|received| received.route.protocol != kernels_own).collect())
}

/// True for a route through the link. One by a nexthop object need not tell its link
/// (`net.ipv4.nexthop_compat_mode` 0): kernels that have such objects filter by themselves.
fn uses(received: &Received, link: u32) -> bool {
    let hops = received.hops.iter().any(|hop| hop.link == link);
    let untold = received.by_object && received.link.is_none() && received.hops.is_empty();
    hops || untold || received.link == Some(link)
}

/// The route when it is in main and of a sort that we make. One of several hops is not.
fn installed(received: Received) -> Option<Installed> {
    let Received { link, mut route, hops, .. } = received;
    let ours = matches!(route.kind, Kind::Unicast | Kind::Blackhole) && hops.is_empty();
    if !ours || route.table.take() != Some(MAIN) {
        return None;
    }
    Some(Installed { link, route })
}

fn dump(
    socket: &Socket,
    op: &'static str,
    on: impl fmt::Display,
    filter: &RouteMessage,
) -> Result<Vec<Object>> {
    match socket.dump(op, on, kind::GET_ROUTE, filter) {
        // A table, main too, does not exist before its first route; a link that is gone has none.
        Err(e) if e.is_gone() => Ok(Vec::new()),
        other => other,
    }
}

fn filter(ipv6: bool, table: u32) -> RouteMessage {
    let mut filter = RouteMessage::default();
    filter.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    filter.attributes.push(RouteAttribute::Table(table));
    filter
}
