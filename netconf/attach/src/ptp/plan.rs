//! What a routed veth needs on either side: pure functions of what IPAM gave.

use std::net::IpAddr;

use cni::{AddResult, IpConfig};
use ipnetwork::IpNetwork;
use kernel::address;
use kernel::route::{self, Route};

use crate::container;

/// The container's side. The kernel is told to make no routes for the prefixes: the rest of the
/// subnet is not on the link, it is reached through the node.
pub fn container_side(result: &AddResult) -> container::Wanted {
    let mut routes: Vec<_> = result.ips.iter().flat_map(subnet_routes).collect();
    routes.extend(container::routes(result));
    container::Wanted {
        addresses: result.ips.iter().map(|ip| ip.address).collect(),
        routes,
        no_prefix_routes: true,
        // Nobody else is on the link.
        detect_duplicates: false,
        keep_detection: false,
    }
}

/// The routes to an address's own subnet: the gateway on the link, the rest behind it. Without a
/// gateway the subnet is taken to be on the link.
fn subnet_routes(ip: &IpConfig) -> Vec<Route> {
    let source = Some(ip.address.ip());
    let on_link = |dst| Route { src: source, scope: route::SCOPE_LINK, ..Route::to(dst) };
    let subnet = IpNetwork::new(ip.address.network(), ip.address.prefix()).unwrap_or(ip.address);
    let alone = subnet == address::host(ip.address.ip());
    match ip.gateway {
        None if alone => Vec::new(),
        None => vec![on_link(subnet)],
        Some(gw) if alone => vec![on_link(address::host(gw))],
        Some(gw) => {
            let behind = Route { gw: Some(gw), src: source, ..Route::to(subnet) };
            vec![on_link(address::host(gw)), behind]
        }
    }
}

/// The addresses of the node's end: the gateways, each alone, so that they claim no subnet.
pub fn node_addresses(result: &AddResult) -> Vec<IpNetwork> {
    let mut all: Vec<IpAddr> = result.ips.iter().filter_map(|ip| ip.gateway).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(address::host).collect()
}

/// The node's routes to the container.
pub fn node_routes(result: &AddResult) -> Vec<Route> {
    let to = |ip: &IpConfig| Route {
        scope: if ip.address.is_ipv6() { route::SCOPE_GLOBAL } else { route::SCOPE_HOST },
        ..Route::to(address::host(ip.address.ip()))
    };
    result.ips.iter().map(to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(address: &str, gateway: Option<&str>) -> AddResult {
        let ip = IpConfig {
            interface: None,
            address: address.parse().unwrap(),
            gateway: gateway.map(|gw| gw.parse().unwrap()),
        };
        AddResult { ips: vec![ip], ..AddResult::default() }
    }

    fn container_routes(result: &AddResult) -> Vec<String> {
        let text = |r: &Route| format!("{r} src {} scope {}", r.src.unwrap(), r.scope);
        container_side(result).routes.iter().map(text).collect()
    }

    #[test]
    fn the_gateway_is_on_the_link_and_the_subnet_behind_it() {
        let result = with("10.1.2.5/24", Some("10.1.2.1"));
        assert_eq!(
            container_routes(&result),
            ["10.1.2.1/32 src 10.1.2.5 scope 253", "10.1.2.0/24 via 10.1.2.1 src 10.1.2.5 scope 0"]
        );
        assert_eq!(node_addresses(&result), ["10.1.2.1/32".parse().unwrap()]);
        let routes = node_routes(&result);
        assert_eq!(routes[0].to_string(), "10.1.2.5/32");
        assert_eq!(routes[0].scope, 254);
    }

    #[test]
    fn without_a_gateway_the_subnet_is_on_the_link() {
        let result = with("fd00::5/64", None);
        assert_eq!(container_routes(&result), ["fd00::/64 src fd00::5 scope 253"]);
        assert!(node_addresses(&result).is_empty());
        assert_eq!(node_routes(&result)[0].to_string(), "fd00::5/128");
    }

    #[test]
    fn an_address_alone_in_its_subnet_needs_no_route_to_itself() {
        let result = with("10.1.2.5/32", Some("169.254.1.1"));
        assert_eq!(container_routes(&result), ["169.254.1.1/32 src 10.1.2.5 scope 253"]);
        assert!(container_routes(&with("10.1.2.5/32", None)).is_empty());
    }
}
