//! Which notifications of the kernel tell of nothing but what is planned: our own changes come back as such,
//! and a change of somebody else that leads to the very same is no damage.

use std::sync::Arc;

use kernel::events::{Heard, Notification};
use kernel::route::{Installed, Kind};

use crate::facts::Families;
use crate::plan::{Plan, Route, Through};
use crate::{Outcome, fleet};

/// What notifications are held against.
///
/// Where the kernel has something else than planned, the last notification about it says so. Whoever wakes
/// up at every one that does not agree misses nothing.
#[derive(Clone, Debug)]
pub struct Expected {
    plan: Arc<Plan>,
    underlays: Families<Option<u32>>,
    tunnels: Families<Option<u32>>,
    cluster: Arc<fleet::Fleet>,
    protocol: u8,
}

impl Expected {
    /// What was reconciled, with routes under this protocol number.
    pub fn of(outcome: &Outcome, protocol: u8) -> Self {
        Self {
            plan: outcome.plan.clone(),
            underlays: outcome.underlays,
            tunnels: outcome.tunnels,
            cluster: outcome.fleet.clone(),
            protocol,
        }
    }

    /// True when what it tells of is as planned by it.
    pub fn agrees(&self, one: &Notification) -> bool {
        match one {
            Notification::Route { gone, installed } => self.agrees_with_route(*gone, installed),
            Notification::Neighbour(heard) => self.agrees_with_neighbour(heard),
            _ => false,
        }
    }

    fn agrees_with_route(&self, gone: bool, Installed { link, route }: &Installed) -> bool {
        let mut planned = self.plan.routes_to(route.dst);
        if gone {
            let all = &self.cluster.cluster;
            let ours = route.protocol == self.protocol
                && all.iter().any(|net| fleet::within(route.dst, *net));
            return ours && planned.next().is_none();
        }
        let is = |planned: &Route| {
            let ipv6 = planned.dst.is_ipv6();
            let (through, kind) = match planned.through {
                Through::Underlay => (*self.underlays.get(ipv6), Kind::Unicast),
                Through::Tunnel => (*self.tunnels.get(ipv6), Kind::Unicast),
                Through::Nowhere => (None, Kind::Blackhole),
            };
            route.protocol == self.protocol
                && (route.kind, *link) == (kind, through)
                && (link.is_some() || kind == Kind::Blackhole)
                && route.priority == Some(planned.metric)
                && (route.gw, route.onlink, route.mtu) == (planned.gw, planned.onlink, planned.mtu)
        };
        planned.any(is)
    }

    fn agrees_with_neighbour(&self, heard: &Heard) -> bool {
        let through = |device: &&crate::Device| *self.tunnels.get(device.ipv6) == Some(heard.link);
        let Some(device) = self.plan.devices.iter().find(through) else { return false };
        // Those that are not permanent are none of ours, and nobody compares them.
        let stays = !heard.gone && heard.permanent;
        if heard.is_forwarding {
            let Some(mac) = heard.mac else { return false };
            match device.fdb.get(&mac) {
                Some(vtep) => stays && heard.ip == Some(*vtep),
                None => !stays,
            }
        } else {
            let Some(ip) = heard.ip else { return false };
            match device.neighbours.get(&ip) {
                Some(mac) => stays && heard.mac == Some(*mac),
                None => !stays,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use kernel::link::Vxlan;

    use super::*;
    use crate::{Device, Fleet, METRIC};

    fn expected() -> Expected {
        let text = r#"{"version": 1, "clusterCIDRs": ["10.1.0.0/16"],
            "local": {"name": "a", "podCIDRs": ["10.1.1.0/24"], "nodeIPs": ["192.0.2.1"]}}"#;
        let fleet = Arc::new(Fleet::parse(text.as_bytes(), "it").unwrap());
        let route = Route {
            dst: "10.1.2.0/24".parse().unwrap(),
            through: Through::Tunnel,
            gw: Some([10, 1, 2, 0].into()),
            onlink: true,
            mtu: None,
            metric: METRIC,
        };
        let mac = "66:00:00:00:00:02".parse().unwrap();
        let device = Device {
            name: "vxlan.1".parse().unwrap(),
            ipv6: false,
            kind: crate::Kind::Vxlan(Vxlan::default(), mac),
            mtu: 1450,
            address: "10.1.1.0/32".parse().unwrap(),
            neighbours: BTreeMap::from([([10, 1, 2, 0].into(), mac)]),
            fdb: BTreeMap::from([(mac, [192, 0, 2, 2].into())]),
        };
        let plan = Plan {
            devices: vec![device],
            routes: BTreeSet::from([route]),
            mtu: 1450,
            exempt: BTreeSet::new(),
            faults: Vec::new(),
        };
        let links = Families { v4: Some(2), v6: None };
        let tunnels = Families { v4: Some(9), v6: None };
        let outcome = Outcome::of(fleet, Arc::new(plan), (links, tunnels));
        Expected::of(&outcome, 112)
    }

    fn route(gone: bool, change: impl FnOnce(&mut Installed)) -> Notification {
        let route = kernel::route::Route {
            gw: Some([10, 1, 2, 0].into()),
            onlink: true,
            priority: Some(METRIC),
            protocol: 112,
            table: Some(254),
            ..kernel::route::Route::to("10.1.2.0/24".parse().unwrap())
        };
        let mut installed = Installed { link: Some(9), route };
        change(&mut installed);
        Notification::Route { gone, installed }
    }

    #[test]
    fn a_route_as_planned_is_no_news_and_any_other_is() {
        let expected = expected();
        let agrees = |gone, change: fn(&mut Installed)| expected.agrees(&route(gone, change));
        assert!(agrees(false, |_| {}));
        assert!(!agrees(true, |_| {}));
        assert!(!agrees(false, |one| one.link = Some(3)));
        assert!(!agrees(false, |one| one.link = None));
        assert!(!agrees(false, |one| one.route.gw = None));
        assert!(!agrees(false, |one| one.route.mtu = Some(1400)));
        assert!(!agrees(false, |one| one.route.onlink = false));
        assert!(!agrees(false, |one| one.route.protocol = 4));
        assert!(!agrees(false, |one| one.route.priority = None));
        assert!(!agrees(false, |one| one.route.kind = Kind::Blackhole));
        // Ours, and nobody's any more.
        let elsewhere = |one: &mut Installed| one.route.dst = "10.1.3.0/24".parse().unwrap();
        assert!(agrees(true, elsewhere));
        assert!(!agrees(false, elsewhere));
        assert!(!agrees(true, |one| one.route.dst = "10.9.3.0/24".parse().unwrap()));
        // Of another metric in the place of one that is planned.
        assert!(!agrees(true, |one| one.route.priority = Some(5)));
    }

    #[test]
    fn an_entry_as_planned_is_no_news_and_any_other_is() {
        let expected = expected();
        let agrees = |gone, permanent, forwarding, ip: [u8; 4], mac: u8| {
            expected.agrees(&Notification::Neighbour(Heard {
                link: 9,
                gone,
                permanent,
                is_forwarding: forwarding,
                ip: Some(ip.into()),
                mac: Some(kernel::MacAddr([0x66, 0, 0, 0, 0, mac])),
            }))
        };
        for (forwarding, ip) in [(true, [192, 0, 2, 2]), (false, [10, 1, 2, 0])] {
            assert!(agrees(false, true, forwarding, ip, 2));
            assert!(!agrees(false, false, forwarding, ip, 2));
            assert!(!agrees(true, true, forwarding, ip, 2));
        }
        assert!(!agrees(false, true, true, [192, 0, 2, 3], 2));
        assert!(!agrees(false, true, true, [192, 0, 2, 2], 3));
        assert!(agrees(true, true, true, [192, 0, 2, 2], 3));
        assert!(!agrees(false, true, false, [10, 1, 2, 0], 3));
        assert!(!agrees(false, true, false, [10, 1, 3, 0], 2));
        // What the kernel does with one of its own.
        assert!(agrees(false, false, false, [10, 1, 3, 0], 2));
        assert!(agrees(true, false, false, [10, 1, 3, 0], 2));
    }
}
