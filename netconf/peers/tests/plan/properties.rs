//! What holds for every fleet, every options and whatever the kernel had before.

use std::collections::{BTreeSet, HashSet};

use ipnetwork::IpNetwork;
use kernel::MacAddr;
use kernel::fdb::Entry;
use kernel::neighbour::Neighbour;
use kernel::route::{Installed, Kind, Route};
use peers::{Backend, Facts, Fault, Fleet, Options, Plan, Reach, Through};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::sample::{UNDERLAY, facts, file, ip, ipip, net, node, options, parse, vxlan};
use crate::world::{PROTOCOL_KERNEL, World, address};

/// A peer out of a small world, so that peers get into each other's way.
fn peer() -> impl Strategy<Value = Value> {
    let v4 = (0..12_u8, select(vec![24_u8, 24, 24, 24, 25, 23]), any::<bool>()).prop_map(
        |(n, length, high)| match (length, high) {
            (25, true) => format!("10.244.{n}.128/25"),
            (23, _) => format!("10.244.{}.0/23", n & !1),
            _ => format!("10.244.{n}.0/{length}"),
        },
    );
    let v6 = (0..12_u8, select(vec![64_u8, 64, 64, 65]))
        .prop_map(|(n, length)| format!("fd00:244:{n}::/{length}"));
    let odd = select(vec!["10.244.3.1/24", "10.9.0.0/24", "nonsense", "fd00:9::/64"]);
    let cidr = prop_oneof![8 => v4, 4 => v6, 1 => odd.prop_map(str::to_owned)];
    let mac = prop_oneof![
        3 => Just(String::new()),
        2 => (1..6_u8).prop_map(|n| format!("66:00:00:00:00:0{n}")),
    ];
    let name = (1..14_u8).prop_map(|n| format!("n{n}"));
    (name, prop::collection::vec(cidr, 1..3), 2..4_u8, 1..14_u8, any::<bool>(), mac.clone(), mac)
        .prop_map(|(name, nets, subnet, host, dual, mac, mac_v6)| {
            let mut ips = vec![format!("192.168.{subnet}.{host}")];
            if dual {
                ips.push(format!("fd00:{subnet}::{host}"));
            }
            json!({"name": name, "podCIDRs": nets, "nodeIPs": ips,
                "vtepMAC": mac, "vtepMACv6": mac_v6})
        })
}

/// A peer that goes together with all others: most fleets are in order.
fn good_peers() -> impl Strategy<Value = Vec<Value>> {
    subsequence((2..12_u8).collect::<Vec<_>>(), 0..10).prop_flat_map(|all| {
        let each = all.into_iter().map(|n| {
            (any::<bool>(), 0..3_u8, 2..4_u8).prop_map(move |(mac, shift, subnet)| {
                let mut node = node(n);
                let host = 100 * shift + n;
                node["nodeIPs"] =
                    json!([format!("192.168.{subnet}.{host}"), format!("fd00:{subnet}::{host}")]);
                if mac {
                    node["vtepMAC"] = json!(format!("66:00:00:00:00:{n:02}"));
                }
                node
            })
        });
        each.collect::<Vec<_>>()
    })
}

fn peers() -> impl Strategy<Value = Vec<Value>> {
    prop_oneof![prop::collection::vec(peer(), 0..14), good_peers()]
}

fn local() -> impl Strategy<Value = Value> {
    (select(vec![1, 1, 1, 12_u8]), 0..4_u8).prop_map(|(n, shape)| {
        let mut local = node(1);
        let (v4, v6) = (format!("10.244.{n}.0/24"), format!("fd00:244:{n}::/64"));
        local["podCIDRs"] = match shape {
            0 => json!([v4]),
            1 => json!([v6]),
            2 => json!([v4, v6]),
            _ => json!([v4, v6, "10.244.13.0/24"]),
        };
        local
    })
}

fn backend() -> impl Strategy<Value = Backend> {
    let direct = any::<bool>();
    prop_oneof![
        Just(Backend::HostGw),
        direct.prop_map(vxlan),
        direct.prop_map(|direct| ipip("tunl0", direct)),
        direct.prop_map(|direct| ipip("ipip.pods", direct)),
    ]
}

/// A node with a plan.
#[derive(Clone, Debug)]
struct Case {
    list: Vec<Value>,
    fleet: Fleet,
    facts: Facts,
    options: Options,
    plan: Plan,
}

impl Case {
    fn of(mut local: Value, list: Vec<Value>, options: Options) -> Self {
        if matches!(options.backend, Backend::Ipip(_)) {
            let v4 = |net: &Value| net.as_str().is_some_and(|net| !net.contains(':'));
            local["podCIDRs"].as_array_mut().unwrap().retain(v4);
            if local["podCIDRs"] == json!([]) {
                local["podCIDRs"] = json!(["10.244.1.0/24"]);
            }
        }
        let fleet = parse(&file(local, list.clone())).unwrap();
        let facts = reached(&fleet);
        let plan = peers::plan(&fleet, &facts, &options).unwrap();
        Self { list, fleet, facts, options, plan }
    }
}

/// Subnet 2 is adjacent, subnet 3 behind a router.
fn reached(fleet: &Fleet) -> Facts {
    let mut facts = facts(fleet);
    for (ip, reach) in &mut facts.reach {
        if ip.to_string().starts_with("192.168.3.") || ip.to_string().starts_with("fd00:3:") {
            *reach = Reach::Behind([192, 168, 2, 254].into());
        }
    }
    facts
}

fn case() -> impl Strategy<Value = Case> {
    (local(), peers(), backend())
        .prop_map(|(local, list, backend)| Case::of(local, list, options(backend)))
}

/// The node at two times, under the same network's name.
fn two_cases() -> impl Strategy<Value = (Case, Case)> {
    let same_way = (local(), local(), peers(), peers(), backend()).prop_map(
        |(old_local, local, old, new, backend)| {
            let options = options(backend);
            (Case::of(old_local, old, options.clone()), Case::of(local, new, options))
        },
    );
    prop_oneof![4 => same_way, 1 => (case(), case())]
}

/// Things that others left, and things of ours that nobody remembers.
#[derive(Clone, Debug)]
struct Litter {
    foreign: Vec<Installed>,
    ours: Vec<Installed>,
    octets: Vec<u8>,
    /// Which of the planned routes stand there spoilt, and how.
    spoilt: Vec<(usize, u8, bool)>,
}

/// Routes under other protocols to anywhere, which no plan asks for: other metrics than ours.
fn litter() -> impl Strategy<Value = Litter> {
    let dst = prop_oneof![
        (0..14_u8).prop_map(|n| format!("10.244.{n}.0/24")),
        (0..14_u8).prop_map(|n| format!("fd00:244:{n}::/64")),
        (0..14_u8).prop_map(|n| format!("10.9.{n}.0/24")),
        Just("0.0.0.0/0".to_owned()),
    ];
    let route = (dst, select(vec![3_u8, 4, 80, 112]), 200..204_u32, any::<bool>(), 1..9_u8);
    let routes = prop::collection::vec(route, 0..12);
    let octets = prop::collection::vec(0..14_u8, 0..4);
    let spoilt = prop::collection::vec((0..20_usize, 0..6_u8, any::<bool>()), 0..6);
    (routes, octets, spoilt).prop_map(|(routes, octets, spoilt)| {
        let mut keys = HashSet::new();
        let (mut foreign, mut ours) = (Vec::new(), Vec::new());
        for (dst, protocol, metric, hole, gw) in routes {
            let dst = net(&dst);
            // IPv6 would take no gateway in there behind another link (`ip6_route_check_nh_onlink`).
            let in_the_way = dst.is_ipv6() && protocol != 112;
            if in_the_way || !keys.insert((dst, metric)) {
                continue;
            }
            let gw =
                if dst.is_ipv6() { format!("fd00:2::{gw}") } else { format!("192.168.2.{gw}") };
            let route = Route {
                gw: (!hole).then(|| ip(&gw)),
                priority: Some(metric),
                protocol,
                kind: if hole { Kind::Blackhole } else { Kind::Unicast },
                ..Route::to(dst)
            };
            let installed = Installed { link: (!hole).then_some(UNDERLAY), route };
            let inside = dst.to_string().starts_with("10.244.") || dst.is_ipv6();
            if protocol == 112 && inside { &mut ours } else { &mut foreign }.push(installed);
        }
        Litter { foreign, ours, octets, spoilt }
    })
}

impl Litter {
    /// Throws it into a world, on the devices too. `fresh` is what is planned and nothing else.
    fn into(self, world: &mut World, fresh: &World) {
        for (number, way, twice) in self.spoilt {
            let mut spoilt = fresh.routes[number % fresh.routes.len()].clone();
            let key = (spoilt.route.dst, spoilt.route.priority);
            if !twice {
                world.routes.retain(|i| (i.route.dst, i.route.priority) != key);
            }
            let Installed { link, route } = &mut spoilt;
            match way {
                0 if route.dst.is_ipv6() => route.gw = Some(ip("fd00:2::99")),
                0 => route.gw = Some(ip("10.0.0.9")),
                1 => route.onlink = !route.onlink,
                2 => route.mtu = Some(1234),
                3 => *link = Some(99),
                // A foreign route could not be seen but on a device of our own.
                4 if link.is_some_and(|link| matches!(link, 10 | 11 | 21)) => route.protocol = 80,
                _ => (*link, route.kind, route.gw) = (Some(UNDERLAY), Kind::Other, None),
            }
            if !world.routes.contains(&spoilt) {
                world.routes.push(spoilt);
            }
        }
        world.routes.extend(self.foreign);
        world.routes.extend(self.ours);
        for tunnel in world.tunnels.values_mut() {
            let index = tunnel.link.index;
            let ipv6 = index == 11;
            for n in &self.octets {
                let pods = if ipv6 { format!("fd00:244:{n}::") } else { format!("10.244.{n}.0") };
                let (pods, mac) = (ip(&pods), MacAddr([0x66, 0, 0, 0, 9, *n]));
                let lengths: &[u8] = match (ipv6, n % 2) {
                    (true, 0) => &[128],
                    (true, _) => &[64],
                    (false, _) => &[32, 24],
                };
                // IPv6 knows an address once.
                tunnel.addresses.retain(|a| a.address.ip() != pods);
                tunnel.addresses.extend(
                    lengths
                        .iter()
                        .map(|length| address(IpNetwork::new(pods, *length).unwrap(), true)),
                );
                if matches!(index, 10 | 11) {
                    if !tunnel.neighbours.iter().any(|one| one.ip == pods) {
                        tunnel.neighbours.push(Neighbour { ip: pods, mac });
                    }
                    if !tunnel.fdb.iter().any(|entry| entry.mac == mac) {
                        tunnel.fdb.push(Entry { mac, vtep: ip("192.168.2.77") });
                    }
                }
            }
            if ipv6 {
                tunnel.addresses.push(address(net("fe80::1/64"), false));
            }
        }
    }
}

fn domain() -> Vec<IpNetwork> {
    vec![net("10.244.0.0/16"), net("fd00:244::/32")]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn the_order_of_a_list_without_contradictions_does_not_matter(
        (case, shuffled) in case().prop_flat_map(|mut case| {
            let mut names = HashSet::new();
            case.list.retain(|peer| names.insert(peer["name"].to_string()));
            let list = Just(case.list.clone()).prop_shuffle();
            (Just(case), list)
        }),
        local in local(),
    ) {
        let again = Case::of(local.clone(), shuffled, case.options.clone());
        let first = Case::of(local, case.list, case.options);
        // Of those that contradict each other the first in the list is served.
        let contradicts = |fault: &Fault| {
            fault.reason.contains(" of peer ") || fault.reason.contains(": peer ")
        };
        prop_assume!(![&first, &again].iter().any(|c| c.fleet.faults.iter().any(contradicts)));
        prop_assert_eq!(first.fleet, again.fleet);
        prop_assert_eq!(first.facts, again.facts);
        prop_assert_eq!(first.plan, again.plan);
    }

    #[test]
    fn every_peer_is_served_or_named_or_this_node(case in case()) {
        let known: BTreeSet<&str> = case.fleet.peers.iter().map(|peer| peer.name.as_str())
            .chain(case.fleet.faults.iter().map(|fault| fault.peer.as_str()))
            .chain([case.fleet.local.name.as_str()])
            .collect();
        for peer in &case.list {
            prop_assert!(known.contains(peer["name"].as_str().unwrap()), "{peer}");
        }
        // The fleet's peers are served by the plan or named there.
        let gateways: BTreeSet<_> = case.plan.routes.iter().map(|route| route.dst).collect();
        for peer in &case.fleet.peers {
            let named = case.plan.faults.iter().any(|fault| fault.peer == peer.name);
            prop_assert!(named || peer.pod_cidrs.iter().all(|net| gateways.contains(net)));
        }
        prop_assert!(case.plan.faults.is_sorted());
    }

    #[test]
    fn those_that_are_served_share_nothing(case in case()) {
        let all: Vec<_> = case.fleet.peers.iter().chain([&case.fleet.local]).collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                prop_assert_ne!(&a.name, &b.name);
                for x in &a.pod_cidrs {
                    for y in &b.pod_cidrs {
                        prop_assert!(!x.contains(y.network()) && !y.contains(x.network()), "{x} {y}");
                    }
                }
                prop_assert!(!a.node_ips.iter().any(|ip| b.node_ips.contains(ip)));
                for ipv6 in [false, true] {
                    let mac = |node: &peers::Node| {
                        let mac = if ipv6 { node.vtep_mac_v6 } else { node.vtep_mac };
                        node.pods(ipv6).next().map(|_| mac)
                    };
                    prop_assert!(mac(a).is_none() || mac(a) != mac(b));
                }
            }
        }
    }

    #[test]
    fn what_has_been_planned_and_made_differs_in_nothing(case in case()) {
        let mut world = World::default();
        let changes = world.reconcile(&case.plan, &case.options, &domain());
        prop_assert!(changes.len() >= case.plan.routes.len());
        prop_assert_eq!(world.reconcile(&case.plan, &case.options, &domain()), []);
    }

    #[test]
    fn whatever_was_there_becomes_what_is_planned((old, new) in two_cases(), litter in litter()) {
        let mut world = World::default();
        world.reconcile(&old.plan, &old.options, &domain());
        world.make_devices(&new.plan, &new.options);
        let foreign = litter.foreign.clone();
        let mut fresh = World::default();
        fresh.reconcile(&new.plan, &new.options, &domain());
        litter.into(&mut world, &fresh);

        world.reconcile(&new.plan, &new.options, &domain());
        prop_assert_eq!(world.reconcile(&new.plan, &new.options, &domain()), []);

        for route in &foreign {
            prop_assert!(world.routes.contains(route), "a foreign route is gone: {route:?}");
        }
        let ours: HashSet<_> = world.routes.iter().filter(|route| !foreign.contains(route)).collect();
        prop_assert_eq!(ours, fresh.routes.iter().collect());
        check_devices(&new, &world)?;
    }
}

/// Exactly one neighbour and one entry for each peer behind a VXLAN tunnel, and one address.
fn check_devices(case: &Case, world: &World) -> Result<(), TestCaseError> {
    let have = world.have(&case.plan, &case.options);
    for device in &case.plan.devices {
        let tunnel = have.tunnels.get(device.ipv6).as_ref().unwrap();
        let addresses: Vec<_> = tunnel.addresses.iter().filter(|a| a.global).collect();
        let planned = addresses.iter().filter(|a| a.address == device.address).count();
        prop_assert_eq!(planned, 1);
        if !case.options.backend.is_fallback() {
            prop_assert_eq!(addresses.len(), 1);
        }
        let tunnelled: BTreeSet<_> = case
            .plan
            .routes
            .iter()
            .filter(|route| route.through == Through::Tunnel && route.dst.is_ipv6() == device.ipv6)
            .filter_map(|route| route.gw)
            .collect();
        let vxlan = matches!(case.options.backend, Backend::Vxlan(_));
        let expected = if vxlan { tunnelled.len() } else { 0 };
        prop_assert_eq!((tunnel.neighbours.len(), tunnel.fdb.len()), (expected, expected));
        for gw in tunnelled.iter().filter(|_| vxlan) {
            let served = |peer: &&peers::Node| peer.vtep_gateway(device.ipv6) == Some(*gw);
            let peer = case.fleet.peers.iter().find(served).unwrap();
            let mac = if device.ipv6 { peer.vtep_mac_v6 } else { peer.vtep_mac };
            let neighbour = Neighbour { ip: *gw, mac };
            prop_assert!(tunnel.neighbours.contains(&neighbour));
            let vtep = peer.ip(device.ipv6).unwrap();
            let entry = Entry { mac, vtep };
            prop_assert!(tunnel.fdb.contains(&entry));
        }
    }
    prop_assert!(world.routes.iter().all(|route| route.route.protocol != PROTOCOL_KERNEL));
    Ok(())
}
