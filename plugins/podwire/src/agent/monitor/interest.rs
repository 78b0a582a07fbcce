//! Which notifications concern the node's part of a network.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use kernel::events::Notification;
use kernel::route::Installed;
use peers::{Expected, METRIC, Options, Outcome};

/// The table `main`.
const MAIN: u32 = 254;

/// What the node's part stands on and consists of.
#[derive(Clone, Debug)]
pub struct Interest {
    /// What is no damage; ours, among others.
    expected: Option<Expected>,
    links: BTreeSet<u32>,
    tunnels: BTreeSet<u32>,
    names: Vec<String>,
    own: Vec<IpAddr>,
    cluster: Vec<IpNetwork>,
    /// Of them the local pods'.
    local: Vec<IpNetwork>,
    protocol: u8,
}

impl Interest {
    /// In what was reconciled last.
    pub fn of(outcome: &Outcome, options: &Options) -> Self {
        let devices = [false, true].into_iter().filter_map(|ipv6| options.backend.device(ipv6));
        let iface = options.iface.iter();
        Self {
            expected: Some(Expected::of(outcome, options.protocol)),
            links: outcome
                .underlays
                .iter()
                .chain(outcome.tunnels.iter())
                .flatten()
                .copied()
                .collect(),
            tunnels: outcome.tunnels.iter().flatten().copied().collect(),
            names: devices.chain(iface).map(ToString::to_string).collect(),
            own: outcome.fleet.local.node_ips.clone(),
            cluster: outcome.fleet.cluster.clone(),
            local: outcome.fleet.local.pod_cidrs.clone(),
            protocol: options.protocol,
        }
    }

    /// Whether a notification may tell of damage, or of another underlay.
    pub fn is_met_by(&self, one: &Notification) -> bool {
        if self.expected.as_ref().is_some_and(|expected| expected.agrees(one)) {
            return false;
        }
        match one {
            // A ruleset that changes is judged before, by what does not change with a round.
            Notification::Lost | Notification::Ruleset(_) => true,
            Notification::Link(index, name) => {
                self.links.contains(index) || self.names.contains(name)
            }
            Notification::Address(link, ip) => self.links.contains(link) || self.own.contains(ip),
            // Those of the underlay come and go all the time.
            Notification::Neighbour(heard) => self.tunnels.contains(&heard.link),
            Notification::Route { installed, .. } => self.is_met_by_route(installed),
            // Each pod's interface brings some of its own.
            Notification::Configuration(link) => link.is_none_or(|link| self.links.contains(&link)),
        }
    }

    fn is_met_by_route(&self, Installed { link, route }: &Installed) -> bool {
        if route.table() != MAIN {
            return false;
        }
        if route.protocol == self.protocol || link.is_some_and(|link| self.tunnels.contains(&link))
        {
            return true;
        }
        let inside = |all: &IpNetwork| {
            all.prefix() <= route.dst.prefix() && all.contains(route.dst.network())
        };
        if self.local.iter().any(inside) {
            // A pod's, unless it stands in the very place of one of ours.
            return route.priority == Some(METRIC);
        }
        if self.cluster.iter().any(inside) {
            // It may be preferred to ours.
            return true;
        }
        // The way to other nodes may have changed; what every new link brings has not changed it.
        !is_link_local(route.dst)
    }
}

fn is_link_local(net: IpNetwork) -> bool {
    match net.network() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_multicast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use kernel::events::Heard;
    use kernel::route::Route;

    use super::*;

    fn interest() -> Interest {
        Interest {
            expected: None,
            links: [2, 9].into(),
            tunnels: [9].into(),
            names: vec!["vxlan.1".to_owned()],
            own: vec!["192.0.2.1".parse().unwrap()],
            cluster: vec!["10.244.0.0/16".parse().unwrap()],
            local: vec!["10.244.1.0/24".parse().unwrap()],
            protocol: 112,
        }
    }

    fn route(dst: &str, link: u32, change: impl FnOnce(&mut Route)) -> Notification {
        let mut route = Route { table: Some(MAIN), ..Route::to(dst.parse().unwrap()) };
        change(&mut route);
        Notification::Route { gone: false, installed: Installed { link: Some(link), route } }
    }

    fn neighbour(link: u32) -> Notification {
        Notification::Neighbour(Heard {
            link,
            gone: true,
            permanent: true,
            is_forwarding: false,
            ip: None,
            mac: None,
        })
    }

    #[test]
    fn what_is_ours_and_what_it_stands_on_matters() {
        for one in [
            Notification::Lost,
            Notification::Link(2, "eth0".to_owned()),
            Notification::Link(77, "vxlan.1".to_owned()),
            Notification::Address(2, "192.0.2.7".parse().unwrap()),
            Notification::Address(5, "192.0.2.1".parse().unwrap()),
            neighbour(9),
            Notification::Configuration(None),
            Notification::Configuration(Some(9)),
            route("10.244.2.0/24", 9, |_| {}),
            route("10.244.2.0/24", 2, |route| route.protocol = 112),
            route("10.244.2.0/24", 7, |route| route.priority = Some(METRIC)),
            route("10.244.2.0/24", 7, |route| route.priority = Some(50)),
            route("10.244.2.7/32", 7, |_| {}),
            route("192.0.2.0/24", 7, |_| {}),
            route("0.0.0.0/0", 7, |_| {}),
        ] {
            assert!(interest().is_met_by(&one), "{one:?}");
        }
    }

    #[test]
    fn pods_that_come_and_go_wake_nobody() {
        for one in [
            Notification::Link(55, "veth1".to_owned()),
            Notification::Address(55, "10.244.1.1".parse().unwrap()),
            neighbour(55),
            neighbour(2),
            Notification::Configuration(Some(55)),
            route("10.244.1.7/32", 55, |_| {}),
            route("192.0.2.7/32", 2, |route| route.table = Some(255)),
            route("fe80::/64", 55, |_| {}),
            route("ff00::/8", 55, |_| {}),
        ] {
            assert!(!interest().is_met_by(&one), "{one:?}");
        }
    }
}
