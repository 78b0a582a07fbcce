//! What is to be in the tables, and what stays in main: pure functions of what is in main now.

use std::net::IpAddr;

use cni::{AddResult, IpConfig};
use ipnetwork::IpNetwork;
use kernel::route::{Kind, Route, SCOPE_GLOBAL};

use super::PROTOCOL;

/// The routes of an address's table, those that others go through first. `main` has the interface's
/// routes of its family. A default route that is there stands, unless another gateway was asked for: then it
/// comes second, and goes back to main with DEL.
pub fn table(
    ip: &IpConfig,
    gateway: Option<(IpAddr, bool)>,
    main: &[Route],
    all: &[IpConfig],
    table: u32,
) -> Vec<Route> {
    let mut routes: Vec<Route> = main
        .iter()
        .filter(|route| is_moved(route) && belongs(route, ip, all))
        .map(|route| Route { table: Some(table), ..route.clone() })
        .collect();
    routes.sort_by_key(|route| route.gw.is_some());
    if let Some((gateway, asked)) = gateway {
        let default = Route {
            gw: Some(gateway),
            table: Some(table),
            protocol: PROTOCOL,
            // Of two of one metric the kernel prefers the later one for IPv4, and takes both for IPv6.
            priority: ip.address.is_ipv6().then_some(1),
            ..Route::to(any(ip.address.is_ipv6()))
        };
        let same = |r: &Route| r.dst == default.dst && (!asked || r.gw == default.gw);
        if !routes.iter().any(same) {
            routes.push(default);
        }
    }
    routes
}

/// The gateway of an address's table: the option's, that of a default route, the address's own.
pub fn gateway(ip: &IpConfig, options: &[IpAddr], result: &AddResult) -> Option<IpAddr> {
    let ipv6 = ip.address.is_ipv6();
    let of_family = |gw: &IpAddr| gw.is_ipv6() == ipv6;
    let by_route = || {
        let defaults = result.routes.iter().filter(|r| r.dst == any(ipv6) && r.dst.prefix() == 0);
        let mut gateways = defaults.filter_map(|r| r.gw).filter(of_family);
        gateways.find(|gw| ip.address.contains(*gw))
    };
    let own = ip.gateway.filter(|gw| !gw.is_unspecified());
    options.iter().copied().find(of_family).or_else(by_route).or(own)
}

/// The destination of a default route.
pub fn any(ipv6: bool) -> IpNetwork {
    let any: IpAddr = if ipv6 { [0_u16; 8].into() } else { [0_u8; 4].into() };
    IpNetwork::new(any, 0).unwrap_or_else(|_| any.into())
}

/// Link-local prefixes and multicast groups are every interface's own.
pub fn is_moved(route: &Route) -> bool {
    let own = match route.dst {
        IpNetwork::V4(dst) => dst.ip().is_multicast(),
        IpNetwork::V6(dst) => dst.ip().is_unicast_link_local() || dst.ip().is_multicast(),
    };
    !own && route.kind == Kind::Unicast
}

/// A route is an address's when it says so by its source, its gateway or its destination; one that is no
/// address's is everybody's.
fn belongs(route: &Route, ip: &IpConfig, all: &[IpConfig]) -> bool {
    is_of(route, std::slice::from_ref(ip)) || !is_of(route, all)
}

/// Whether a route is one of these addresses'. Others are there without this plugin: of addresses that
/// somebody added, or that a router announced.
pub fn is_of(route: &Route, ips: &[IpConfig]) -> bool {
    ips.iter().map(|ip| &ip.address).any(|own| match (route.src, route.gw) {
        (Some(src), _) => src == own.ip(),
        (None, Some(gw)) => own.contains(gw),
        (None, None) => route.dst.contains(own.ip()) && route.dst.prefix() > 0,
    })
}

/// What replaces a route in main where sources are hinted at: the subnet of an address, with the address.
/// `None` for a route that goes, the route itself for one that stays.
pub fn hinted(route: &Route, all: &[IpConfig]) -> Option<Route> {
    if route.gw.is_some() || route.scope == SCOPE_GLOBAL && !route.dst.is_ipv6() {
        return None;
    }
    if route.src.is_some() {
        return Some(route.clone());
    }
    let own = all.iter().map(|ip| ip.address.ip()).find(|ip| route.dst.contains(*ip))?;
    Some(Route { src: Some(own), protocol: PROTOCOL, ..route.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(address: &str, gateway: Option<&str>) -> IpConfig {
        let gateway = gateway.map(|gw| gw.parse().unwrap());
        IpConfig { interface: None, address: address.parse().unwrap(), gateway }
    }

    fn route(dst: &str, gw: Option<&str>, src: Option<&str>) -> Route {
        let parse = |text: &str| text.parse().unwrap();
        Route { gw: gw.map(parse), src: src.map(parse), ..Route::to(dst.parse().unwrap()) }
    }

    #[test]
    fn each_address_gets_its_own_routes_and_those_of_nobody() {
        let all = [ip("10.1.0.2/24", Some("10.1.0.1")), ip("10.2.0.2/24", None)];
        let main = [
            route("0.0.0.0/0", Some("10.1.0.1"), None),
            route("10.1.0.0/24", None, Some("10.1.0.2")),
            route("10.2.0.0/24", None, Some("10.2.0.2")),
            route("10.9.0.0/16", Some("10.2.0.1"), None),
            route("192.0.2.0/24", None, None),
            route("198.51.100.0/24", None, Some("198.51.100.7")),
            route("224.0.0.0/4", None, None),
        ];
        let shown = |at: usize| -> Vec<String> {
            let result = AddResult::default();
            let gateway = gateway(&all[at], &[], &result);
            table(&all[at], gateway.map(|gw| (gw, false)), &main, &all, 100)
                .iter()
                .map(Route::to_string)
                .collect()
        };
        let first = [
            "10.1.0.0/24 table 100",
            "192.0.2.0/24 table 100",
            "198.51.100.0/24 table 100",
            "0.0.0.0/0 via 10.1.0.1 table 100",
        ];
        assert_eq!(shown(0), first);
        let second = [
            "10.2.0.0/24 table 100",
            "192.0.2.0/24 table 100",
            "198.51.100.0/24 table 100",
            "10.9.0.0/16 via 10.2.0.1 table 100",
        ];
        assert_eq!(shown(1), second);
    }

    #[test]
    fn a_gateway_comes_from_options_routes_and_addresses_in_this_order() {
        let default = |gw: &str| cni::Route {
            dst: "0.0.0.0/0".parse().unwrap(),
            gw: Some(gw.parse().unwrap()),
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        };
        let routes = vec![default("10.7.0.1"), default("10.1.0.9")];
        let result = AddResult { routes, ..AddResult::default() };
        let options = ["fd00::1".parse().unwrap(), "10.1.0.5".parse().unwrap()];
        let told = |ip: &IpConfig, options: &[IpAddr]| {
            gateway(ip, options, &result).map(|gw| gw.to_string())
        };
        let with = ip("10.1.0.2/24", Some("10.1.0.1"));
        assert_eq!(told(&with, &options).as_deref(), Some("10.1.0.5"));
        assert_eq!(told(&with, &[]).as_deref(), Some("10.1.0.9"));
        assert_eq!(told(&ip("10.5.0.2/24", Some("10.5.0.1")), &[]).as_deref(), Some("10.5.0.1"));
        assert_eq!(told(&ip("10.1.0.2/24", None), &[]).as_deref(), Some("10.1.0.9"));
        assert_eq!(told(&ip("fd00::2/64", None), &[]), None);
    }
}
