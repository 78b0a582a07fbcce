//! The gateways of what IPAM gave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::{AddResult, Code, Error, Route};
use ipnetwork::IpNetwork;

/// The address that serves a subnet as its gateway when IPAM named none: the first one.
pub fn of(address: IpNetwork) -> IpAddr {
    match address {
        IpNetwork::V4(net) => {
            IpAddr::V4(Ipv4Addr::from_bits(net.network().to_bits().saturating_add(1)))
        }
        IpNetwork::V6(net) => {
            IpAddr::V6(Ipv6Addr::from_bits(net.network().to_bits().saturating_add(1)))
        }
    }
}

/// Names a gateway for every address that has none. Code 7 when an address leaves no room for one,
/// or is the gateway's own.
pub fn fill(result: &mut AddResult) -> Result<(), Error> {
    for (index, ip) in result.ips.iter_mut().enumerate() {
        let gateway = ip.gateway.unwrap_or_else(|| of(ip.address));
        let made_up = ip.gateway.is_none();
        if gateway == ip.address.ip() || (made_up && !ip.address.contains(gateway)) {
            return Err(Error::new(
                Code::CONFIG,
                format!(
                    "isGateway: ips[{index}] {} is, or leaves no room for, the gateway {gateway}",
                    ip.address
                ),
            )
            .details("let ipam name another address or gateway, or leave isGateway out"));
        }
        ip.gateway = Some(gateway);
    }
    Ok(())
}

/// Adds a default route per family, unless IPAM gave one with a gateway.
pub fn add_default_routes(result: &mut AddResult) {
    for ip in &result.ips {
        let Some(gw) = ip.gateway else { continue };
        let has_one = result.routes.iter().any(|r| r.gw.is_some() && is_default(r, gw.is_ipv6()));
        let unspecified: IpAddr =
            if gw.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        if let (false, Ok(dst)) = (has_one, IpNetwork::new(unspecified, 0)) {
            result.routes.push(Route {
                dst,
                gw: Some(gw),
                mtu: None,
                advmss: None,
                priority: None,
                table: None,
                scope: None,
            });
        }
    }
}

/// The addresses that the near end holds: each gateway with the prefix of its subnet.
pub fn addresses(result: &AddResult) -> Vec<IpNetwork> {
    let mut all: Vec<_> = result
        .ips
        .iter()
        .filter_map(|ip| IpNetwork::new(ip.gateway?, ip.address.prefix()).ok())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// True for 0.0.0.0/0 and ::/0.
fn is_default(route: &Route, ipv6: bool) -> bool {
    route.dst.is_ipv6() == ipv6 && route.dst.prefix() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use cni::IpConfig;

    fn result(addresses: &[(&str, Option<&str>)]) -> AddResult {
        let ips = addresses.iter().map(|(address, gateway)| IpConfig {
            interface: None,
            address: address.parse().unwrap(),
            gateway: gateway.map(|gw| gw.parse().unwrap()),
        });
        AddResult { ips: ips.collect(), ..AddResult::default() }
    }

    #[test]
    fn a_missing_gateway_is_the_first_address_of_the_subnet() {
        let mut r = result(&[("10.1.2.3/16", None), ("fd00::7/64", Some("fd00::9"))]);
        fill(&mut r).unwrap();
        let gateways: Vec<_> = r.ips.iter().map(|ip| ip.gateway.unwrap().to_string()).collect();
        assert_eq!(gateways, ["10.1.0.1", "fd00::9"]);
        let held: Vec<_> = addresses(&r).iter().map(ToString::to_string).collect();
        assert_eq!(held, ["10.1.0.1/16", "fd00::9/64"]);
    }

    #[test]
    fn an_address_that_is_the_gateway_s_or_leaves_no_room_for_one_is_refused() {
        for (address, gateway) in [
            ("10.2.0.1/24", None),
            ("10.2.0.7/24", Some("10.2.0.7")),
            ("10.2.9.5/32", None),
            ("fd00::5/128", None),
        ] {
            let error = fill(&mut result(&[(address, gateway)])).unwrap_err();
            assert!(error.msg.contains(address), "{error}");
        }
        // Odd, but said explicitly: a gateway that the subnet does not have.
        fill(&mut result(&[("10.2.9.5/32", Some("169.254.1.1"))])).unwrap();
    }

    #[test]
    fn one_default_route_per_family_is_added_and_none_beside_a_given_one() {
        let mut r = result(&[("10.1.2.3/16", None), ("10.9.0.2/24", None), ("fd00::7/64", None)]);
        fill(&mut r).unwrap();
        r.routes.push(Route {
            dst: "0.0.0.0/0".parse().unwrap(),
            gw: Some("10.1.0.254".parse().unwrap()),
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        });
        add_default_routes(&mut r);
        let routes: Vec<_> =
            r.routes.iter().map(|r| format!("{} {}", r.dst, r.gw.unwrap())).collect();
        assert_eq!(routes, ["0.0.0.0/0 10.1.0.254", "::/0 fd00::1"]);
    }
}
