//! A model of the kernel, as far as changes concern it. It refuses what the kernel refuses, and
//! panics where a packet would take a way that is half made.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use kernel::address::Address;
use kernel::link::Link;
use kernel::route::{Installed, Kind, Route};
use peers::{Backend, Change, Families, Have, Options, Plan, Tunnel, difference};

use crate::sample::UNDERLAY;

/// `RTPROT_KERNEL`
pub const PROTOCOL_KERNEL: u8 = 2;

/// What a node has.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By index.
    pub tunnels: BTreeMap<u32, Tunnel>,
    /// All routes in main, whoever made them, in the kernel's order.
    pub routes: Vec<Installed>,
}

/// The index of the tunnel device of a family.
pub fn index(backend: &Backend, ipv6: bool) -> u32 {
    match backend {
        Backend::Ipip(_) if backend.is_fallback() => 20,
        Backend::Ipip(_) => 21,
        _ if ipv6 => 11,
        _ => 10,
    }
}

fn link(index: u32, name: &str) -> Link {
    Link { index, name: name.to_owned(), ..Link::default() }
}

/// An address as the kernel lists it.
pub fn address(address: IpNetwork, global: bool) -> Address {
    Address {
        address,
        global,
        tentative: false,
        dad_failed: false,
        peer: None,
        no_prefix_route: false,
    }
}

impl World {
    /// Makes the devices that a plan needs.
    pub fn make_devices(&mut self, plan: &Plan, options: &Options) {
        for device in &plan.devices {
            let index = index(&options.backend, device.ipv6);
            self.tunnels.entry(index).or_insert_with(|| Tunnel {
                link: link(index, device.name.as_str()),
                addresses: Vec::new(),
                neighbours: Vec::new(),
                fdb: Vec::new(),
            });
        }
    }

    /// What of it may be ours.
    pub fn have(&self, plan: &Plan, options: &Options) -> Have {
        let mut tunnels = Families::default();
        for device in &plan.devices {
            let tunnel = self.tunnels.get(&index(&options.backend, device.ipv6));
            *tunnels.get_mut(device.ipv6) = tunnel.cloned();
        }
        let own = |index: u32| {
            !options.backend.is_fallback()
                && [&tunnels.v4, &tunnels.v6].iter().any(|tunnel: &&Option<Tunnel>| {
                    tunnel.as_ref().is_some_and(|tunnel| tunnel.link.index == index)
                })
        };
        let routes = self.routes.iter().filter(|installed| {
            let protocol = installed.route.protocol;
            protocol == options.protocol
                || protocol != PROTOCOL_KERNEL && installed.link.is_some_and(own)
        });
        Have {
            underlays: Families {
                v4: Some(link(UNDERLAY, "eth0")),
                v6: Some(link(UNDERLAY, "eth0")),
            },
            routes: routes.cloned().collect(),
            tunnels,
        }
    }

    /// Brings it in line; gives the changes.
    pub fn reconcile(
        &mut self,
        plan: &Plan,
        options: &Options,
        domain: &[IpNetwork],
    ) -> Vec<Change> {
        self.make_devices(plan, options);
        let changes = difference(plan, &self.have(plan, options), options, domain);
        for change in &changes {
            self.apply(change);
        }
        changes
    }

    fn tunnel(&mut self, link: &Link) -> &mut Tunnel {
        self.tunnels.get_mut(&link.index).expect("a tunnel device")
    }

    /// One change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::AddAddress(link, new) => {
                let addresses = &mut self.tunnel(link).addresses;
                let same = |old: &Address| match new {
                    IpNetwork::V4(_) => old.address == *new,
                    IpNetwork::V6(_) => old.address.ip() == new.ip(),
                };
                assert!(!addresses.iter().any(same), "EEXIST: {change}");
                addresses.push(address(*new, true));
            }
            Change::RemoveAddress(link, old) => {
                let addresses = &mut self.tunnel(link).addresses;
                let at = addresses.iter().position(|a| a.address == *old).expect("EADDRNOTAVAIL");
                addresses.remove(at);
                if addresses.is_empty() && old.is_ipv4() {
                    let lost = |i: &Installed| i.link == Some(link.index) && i.route.dst.is_ipv4();
                    self.routes.retain(|installed| !lost(installed));
                }
            }
            Change::SetNeighbour(link, new) => {
                let Tunnel { neighbours, fdb, .. } = self.tunnel(link);
                assert!(fdb.iter().any(|entry| entry.mac == new.mac), "leads nowhere: {change}");
                neighbours.retain(|old| old.ip != new.ip);
                neighbours.push(*new);
            }
            Change::RemoveNeighbour(link, old) => {
                let through = |i: &Installed| i.link == Some(link.index);
                let used = self.routes.iter().any(|i| through(i) && i.route.gw == Some(old.ip));
                assert!(!used, "still in use: {change}");
                let neighbours = &mut self.tunnel(link).neighbours;
                neighbours.remove(neighbours.iter().position(|n| n == old).expect("ENOENT"));
            }
            Change::SetEntry(link, new) => {
                let fdb = &mut self.tunnel(link).fdb;
                fdb.retain(|old| old.mac != new.mac);
                fdb.push(*new);
            }
            Change::RemoveEntry(link, old) => {
                let Tunnel { neighbours, fdb, .. } = self.tunnel(link);
                fdb.remove(fdb.iter().position(|entry| entry == old).expect("ENOENT"));
                let used = neighbours.iter().any(|neighbour| neighbour.mac == old.mac);
                let other = fdb.iter().any(|entry| entry.mac == old.mac);
                assert!(!used || other, "still in use: {change}");
            }
            Change::SetRoute(link, route) => self.set_route(link.as_ref(), route, change),
            Change::RemoveRoute(old, _) => {
                let same = |i: &Installed| {
                    let (a, b) = (&i.route, &old.route);
                    i.link == old.link
                        && (a.dst, a.priority, a.protocol) == (b.dst, b.priority, b.protocol)
                        && (a.kind, a.gw) == (b.kind, b.gw)
                };
                let at = self.routes.iter().position(same);
                self.routes.remove(at.unwrap_or_else(|| panic!("ESRCH: {change}")));
            }
        }
    }

    fn set_route(&mut self, link: Option<&Link>, route: &Route, change: &Change) {
        match (link, route.kind) {
            (None, Kind::Blackhole) => assert_eq!(route.gw, None),
            (Some(_), Kind::Unicast) => {}
            _ => panic!("EINVAL: {change}"),
        }
        if let Some(tunnel) = link.and_then(|link| self.tunnels.get(&link.index)) {
            let own = |a: &Address| Some(a.address.ip()) == route.gw;
            assert!(!tunnel.addresses.iter().any(own), "our own address as gateway: {change}");
            assert!(route.onlink, "no address says that the gateway is on the link: {change}");
            if matches!(tunnel.link.index, 10 | 11) {
                let mac = tunnel.neighbours.iter().find(|n| Some(n.ip) == route.gw).map(|n| n.mac);
                let mac = mac.unwrap_or_else(|| panic!("no neighbour yet: {change}"));
                assert!(tunnel.fdb.iter().any(|entry| entry.mac == mac), "no entry yet: {change}");
            }
        }
        self.check_gateway(link, route, change);
        let installed = Installed { link: link.map(|link| link.index), route: route.clone() };
        let same = |i: &Installed| (i.route.dst, i.route.priority) == (route.dst, route.priority);
        match self.routes.iter().position(same) {
            Some(at) => self.routes[at] = installed,
            None => self.routes.push(installed),
        }
    }

    /// IPv6 takes no gateway to which a route leads through another link, on the link or not.
    fn check_gateway(&self, link: Option<&Link>, route: &Route, change: &Change) {
        let Some(gw) = route.gw.filter(|gw| gw.is_ipv6() && route.onlink) else { return };
        let unicast = |i: &&Installed| i.route.kind != Kind::Blackhole && i.route.dst.prefix() > 0;
        let leading = self.routes.iter().filter(unicast).filter(|i| i.route.dst.contains(gw));
        let order = |i: &&Installed| (i.route.dst.prefix(), Reverse(i.route.priority));
        if let Some(best) = leading.max_by_key(order) {
            assert_eq!(best.link, link.map(|link| link.index), "device mismatch: {change}");
        }
    }
}
