//! Every conversion there and back, on results nobody thought of.

use std::net::IpAddr;

use cni::{AddResult, Dns, Interface, IpConfig, Json, Route, Version};
use ipnetwork::IpNetwork;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn network() -> impl Strategy<Value = IpNetwork> {
    (address(), 0..=128_u8).prop_map(|(address, length)| {
        let length = if address.is_ipv4() { length % 33 } else { length };
        IpNetwork::new(address, length).unwrap()
    })
}

prop_compose! {
    fn interface()(
        name in ".{0,8}", mac in ".{0,8}", mtu in of(1_u32..), sandbox in ".{0,8}",
        socket_path in ".{0,8}", pci_id in ".{0,8}",
    ) -> Interface {
        Interface { name, mac, mtu, sandbox, socket_path, pci_id }
    }
}

prop_compose! {
    fn ip()(
        interface in of(0..9_usize), address in network(), gateway in of(address()),
    ) -> IpConfig {
        IpConfig { interface, address, gateway }
    }
}

prop_compose! {
    fn route()(
        dst in network(), gw in of(address()), mtu in of(1_u32..), advmss in of(1_u32..),
        priority in of(1_u32..), table in of(any::<u32>()), scope in of(any::<u8>()),
    ) -> Route {
        Route { dst, gw, mtu, advmss, priority, table, scope }
    }
}

prop_compose! {
    fn dns()(
        nameservers in vec(".{0,6}", 0..3), domain in ".{0,6}", search in vec(".{0,6}", 0..3),
        options in vec(".{0,6}", 0..3),
    ) -> Dns {
        Dns { nameservers, domain, search, options }
    }
}

prop_compose! {
    fn result()(
        interfaces in vec(interface(), 0..4), ips in vec(ip(), 0..5),
        routes in vec(route(), 0..5), dns in dns(),
    ) -> AddResult {
        AddResult { interfaces, ips, routes, dns }
    }
}

/// What is left of a result once it was told in `version`: A.4 of the protocol, said once more
/// and by other means than the printer's.
fn as_told_in(version: Version, mut result: AddResult) -> Option<AddResult> {
    if version >= Version::V1_0_0 {
        return Some(result);
    }
    for interface in &mut result.interfaces {
        interface.mtu = None;
        interface.socket_path.clear();
        interface.pci_id.clear();
    }
    if version >= Version::V0_3_0 {
        return Some(result);
    }
    result.interfaces.clear();
    let (v4, v6): (Vec<_>, Vec<_>) = result.ips.into_iter().partition(|ip| ip.address.is_ipv4());
    let (mut routes4, mut routes6): (Vec<_>, Vec<_>) =
        result.routes.into_iter().partition(|route| route.dst.is_ipv4());
    if v4.is_empty() {
        routes4.clear();
    }
    if v6.is_empty() {
        routes6.clear();
    }
    result.ips = v4.into_iter().take(1).chain(v6.into_iter().take(1)).collect();
    for ip in &mut result.ips {
        ip.interface = None;
    }
    result.routes = routes4
        .into_iter()
        .chain(routes6)
        .map(|Route { dst, gw, .. }| Route {
            dst,
            gw,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        })
        .collect();
    (!result.ips.is_empty()).then_some(result)
}

fn reread(text: &str, version: Version) -> AddResult {
    let json = Json::parse(text.as_bytes(), "a result").unwrap();
    AddResult::parse(&json, version).unwrap()
}

proptest! {
    #[test]
    fn a_result_told_in_any_version_is_read_back(result in result()) {
        for &version in Version::ALL {
            let told = result.print(version).ok().map(|text| reread(&text, version));
            prop_assert_eq!(told, as_told_in(version, result.clone()), "{}", version);
        }
    }

    #[test]
    fn from_any_version_to_any_other_no_more_is_lost_than_either_loses(result in result()) {
        for &first in Version::ALL {
            let Ok(text) = result.print(first) else { continue };
            let read = reread(&text, first);
            for &second in Version::ALL {
                let told = read.print(second).ok().map(|text| reread(&text, second));
                let direct = as_told_in(first, result.clone()).and_then(|r| as_told_in(second, r));
                prop_assert_eq!(told, direct, "{} then {}", first, second);
            }
        }
    }

    #[test]
    fn a_second_telling_changes_nothing(result in result()) {
        for &version in Version::ALL {
            if let Ok(text) = result.print(version) {
                prop_assert_eq!(reread(&text, version).print(version).unwrap(), text);
            }
        }
    }
}
