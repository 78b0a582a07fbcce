//! What is planned for each mode.

use peers::{BLACKHOLE_METRIC, Backend, Facts, Kind, Options, Plan, Reach, Through};

use crate::sample::{
    UNDERLAY, facts, fleet, ip, ipip, mac, net, node, node4, options, plan, route, shown, vxlan,
};

/// The routes that are no blackholes.
fn routes(plan: &Plan) -> Vec<peers::Route> {
    plan.routes.iter().filter(|route| route.through != Through::Nowhere).cloned().collect()
}

fn refused(facts: &Facts, options: &Options, local: serde_json::Value) -> String {
    let error = peers::plan(&fleet(local, vec![]), facts, options).unwrap_err();
    assert_eq!(error.code.0, 7);
    assert!(!error.details.is_empty(), "nothing is said of how to mend it");
    error.msg
}

#[test]
fn host_gw_is_routes_with_the_peers_as_gateways() {
    let plan = plan(&fleet(node(1), vec![node(2)]), Backend::HostGw);
    assert!(plan.devices.is_empty());
    assert_eq!(plan.mtu, 1500);
    assert_eq!(
        routes(&plan),
        [
            route("10.244.2.0/24", "192.168.2.2", Through::Underlay),
            route("fd00:244:2::/64", "fd00:2::2", Through::Underlay),
        ]
    );
    assert!(plan.faults.is_empty());
}

#[test]
fn local_pod_networks_end_in_blackholes_in_every_mode() {
    for backend in [Backend::HostGw, vxlan(false), ipip("tunl0", true)] {
        let plan = plan(&fleet(node4(1), vec![node4(2)]), backend);
        let holes: Vec<_> =
            plan.routes.iter().filter(|route| route.through == Through::Nowhere).collect();
        assert_eq!(holes.len(), 1);
        assert_eq!((holes[0].dst, holes[0].metric), (net("10.244.1.0/24"), BLACKHOLE_METRIC));
        assert_eq!((holes[0].gw, holes[0].onlink, holes[0].mtu), (None, false, None));
    }
}

#[test]
fn vxlan_is_a_device_per_family_with_a_neighbour_and_an_entry_per_peer() {
    let mut peer = node(2);
    peer["podCIDRs"] = serde_json::json!(["10.244.2.0/24", "fd00:244:2::/64", "10.244.22.0/24"]);
    peer["vtepMAC"] = serde_json::json!("66:00:00:00:00:02");
    peer["vtepMACv6"] = serde_json::json!("66:00:00:00:06:02");
    let plan = plan(&fleet(node(1), vec![peer]), vxlan(false));
    assert_eq!(plan.mtu, 1430, "the least of both families");
    let [v4, v6] = plan.devices.as_slice() else { panic!("{:?}", plan.devices) };
    assert_eq!((v4.name.as_str(), v4.ipv6, v4.mtu), ("vxlan.1", false, 1450));
    assert_eq!((v6.name.as_str(), v6.ipv6, v6.mtu), ("vxlan-v6.1", true, 1430));
    assert_eq!((v4.address, v6.address), (net("10.244.1.0/32"), net("fd00:244:1::/128")));
    let Kind::Vxlan(device, own) = &v4.kind else { panic!("{:?}", v4.kind) };
    assert_eq!(*own, mac("66:67:6b:8b:b8:4c"));
    assert_eq!((device.vni, device.port, device.learning), (1, 8472, false));
    assert_eq!((device.local, device.underlay), (Some(ip("192.168.2.1")), Some(UNDERLAY)));
    let Kind::Vxlan(device, own) = &v6.kind else { panic!("{:?}", v6.kind) };
    assert_eq!((*own, device.local), (mac("66:ca:1e:f9:a5:ba"), Some(ip("fd00:2::1"))));

    let (m4, m6) = (mac("66:00:00:00:00:02"), mac("66:00:00:00:06:02"));
    assert_eq!(v4.neighbours, [(ip("10.244.2.0"), m4)].into());
    assert_eq!(v4.fdb, [(m4, ip("192.168.2.2"))].into());
    assert_eq!(v6.neighbours, [(ip("fe80::6400:ff:fe00:602"), m6)].into());
    assert_eq!(v6.fdb, [(m6, ip("fd00:2::2"))].into());
    assert_eq!(
        routes(&plan),
        [
            route("10.244.2.0/24", "10.244.2.0", Through::Tunnel),
            route("10.244.22.0/24", "10.244.2.0", Through::Tunnel),
            route("fd00:244:2::/64", "fe80::6400:ff:fe00:602", Through::Tunnel),
        ]
    );
}

#[test]
fn ipip_is_routes_through_the_kernels_device_or_one_of_our_own() {
    let fleet = fleet(node4(1), vec![node4(2)]);
    let plan4 = plan(&fleet, ipip("tunl0", false));
    assert_eq!(plan4.mtu, 1480);
    let [device] = plan4.devices.as_slice() else { panic!("{:?}", plan4.devices) };
    assert_eq!((device.name.as_str(), device.mtu), ("tunl0", 1480));
    assert_eq!((&device.kind, device.address), (&Kind::Fallback, net("10.244.1.0/32")));
    assert!(device.neighbours.is_empty() && device.fdb.is_empty());
    assert_eq!(routes(&plan4), [route("10.244.2.0/24", "192.168.2.2", Through::Tunnel)]);

    let own = plan(&fleet, ipip("ipip.pods", false));
    let Kind::Ipip(device) = &own.devices[0].kind else { panic!("{:?}", own.devices) };
    assert_eq!((device.local, device.remote), (Some([192, 168, 2, 1].into()), None));
    assert!(device.path_mtu_discovery);
    assert_eq!(own.routes, plan4.routes);
}

#[test]
fn direct_routing_spares_adjacent_peers_the_tunnel() {
    let fleet = fleet(node4(1), vec![node4(2), node4(3)]);
    let mut facts = facts(&fleet);
    facts.reach.insert(ip("192.168.2.3"), Reach::Behind(ip("192.168.2.254")));
    for (backend, gw, mtu) in
        [(vxlan(true), "10.244.3.0", 1450), (ipip("tunl0", true), "192.168.2.3", 1480)]
    {
        let plan = peers::plan(&fleet, &facts, &options(backend)).unwrap();
        let mut tunnelled = route("10.244.3.0/24", gw, Through::Tunnel);
        tunnelled.mtu = Some(mtu);
        assert_eq!(
            routes(&plan),
            [route("10.244.2.0/24", "192.168.2.2", Through::Underlay), tunnelled]
        );
        assert_eq!((plan.mtu, plan.devices[0].mtu), (1500, mtu));
        let neighbours: Vec<_> = plan.devices[0].neighbours.keys().collect();
        let vxlan = gw == "10.244.3.0";
        assert_eq!(neighbours.len(), usize::from(vxlan));
        assert_eq!(plan.devices[0].fdb.len(), usize::from(vxlan));
        assert!(plan.faults.is_empty());
    }
}

#[test]
fn with_direct_routing_the_pods_mtu_is_the_same_whoever_is_adjacent() {
    let alone = plan(&fleet(node4(1), vec![]), vxlan(true));
    assert_eq!((alone.mtu, alone.devices[0].mtu), (1500, 1450));
    let direct = plan(&fleet(node4(1), vec![node4(2)]), vxlan(true));
    assert_eq!((direct.mtu, direct.devices[0].mtu), (1500, 1450));
}

#[test]
fn host_gw_names_each_peer_that_it_cannot_reach_and_serves_the_others() {
    let fleet = fleet(node(1), (2..=7).map(node).collect());
    let mut facts = facts(&fleet);
    for (n, reach) in [
        (3, Some(Reach::Behind(ip("192.168.2.254")))),
        (4, Some(Reach::Elsewhere("eth1".to_owned()))),
        (5, Some(Reach::Own)),
        (6, Some(Reach::Unreachable)),
        (7, None),
    ] {
        let peer = ip(&format!("192.168.2.{n}"));
        facts.reach.remove(&peer);
        facts.reach.extend(reach.map(|reach| (peer, reach)));
    }
    let plan = peers::plan(&fleet, &facts, &options(Backend::HostGw)).unwrap();
    let only = "host-gw reaches adjacent nodes only; use vxlan or ipip, or directRouting";
    assert_eq!(
        shown(&plan.faults),
        [
            format!("peer n3: nodeIPs 192.168.2.3 is behind the router 192.168.2.254: {only}"),
            format!("peer n4: nodeIPs 192.168.2.4 is reached through eth1, not through eth0: {only}"),
            "peer n5: nodeIPs 192.168.2.5 is this node's own address: give the peer's, or local.name this peer's name".to_owned(),
            format!("peer n6: nodeIPs 192.168.2.6: this node has no route there; {only}"),
            format!("peer n7: nodeIPs 192.168.2.7: this node has no route there; {only}"),
        ]
    );
    let v4 = routes(&plan).into_iter().filter(|route| route.dst.is_ipv4()).count();
    let v6 = routes(&plan).into_iter().filter(|route| route.dst.is_ipv6()).count();
    assert_eq!((v4, v6), (1, 6), "the other family is served");
}

#[test]
fn a_tunnel_needs_no_route_to_its_other_end_yet() {
    let fleet = fleet(node4(1), vec![node4(2), node4(3)]);
    let mut facts = facts(&fleet);
    facts.reach.insert(ip("192.168.2.2"), Reach::Unreachable);
    facts.reach.insert(ip("192.168.2.3"), Reach::Own);
    for backend in [vxlan(false), vxlan(true), ipip("tunl0", true)] {
        let plan = peers::plan(&fleet, &facts, &options(backend)).unwrap();
        let through: Vec<_> = routes(&plan).iter().map(|route| route.through).collect();
        assert_eq!(through, [Through::Tunnel]);
        assert_eq!(plan.faults.len(), 1, "an address of our own can be no peer's");
    }
}

#[test]
fn pods_keep_their_addresses_towards_the_cluster_and_the_nodes_that_are_served() {
    let fleet = fleet(node(1), vec![node(2), node4(3), node(4)]);
    let mut facts = facts(&fleet);
    facts.reach.insert(ip("fd00:2::4"), Reach::Unreachable);
    let plan = peers::plan(&fleet, &facts, &options(Backend::HostGw)).unwrap();
    let expected = "10.244.0.0/16 fd00:244::/32 192.168.2.1/32 fd00:2::1/128 192.168.2.2/32 \
        fd00:2::2/128 192.168.2.3/32 192.168.2.4/32";
    assert_eq!(plan.exempt, expected.split_whitespace().map(net).collect());
}

#[test]
fn an_mtu_that_was_given_counts_and_makes_tunnels_smaller() {
    let both = fleet(node(1), vec![node(2)]);
    for (backend, mtu, pods, tunnels) in [
        (Backend::HostGw, 1400, 1400, vec![]),
        (vxlan(false), 1400, 1400, vec![1400, 1400]),
        (vxlan(false), 1430, 1430, vec![1430, 1430]),
        (vxlan(true), 1500, 1500, vec![1450, 1430]),
        (vxlan(true), 1440, 1440, vec![1440, 1430]),
        (vxlan(true), 1280, 1280, vec![1280, 1280]),
    ] {
        let options = Options { mtu: Some(mtu), ..options(backend) };
        let plan = peers::plan(&both, &facts(&both), &options).unwrap();
        let devices: Vec<_> = plan.devices.iter().map(|device| device.mtu).collect();
        assert_eq!((plan.mtu, devices), (pods, tunnels));
    }
}

#[test]
fn an_mtu_above_the_limit_is_refused_with_the_limit() {
    let facts = facts(&fleet(node(1), vec![]));
    let above = |backend, mtu, local| {
        refused(&facts, &Options { mtu: Some(mtu), ..options(backend) }, local)
    };
    let fit = |mtu: u32, limit: u32, way: &str| {
        format!("mtu {mtu}: at most {limit} bytes fit into {way} over eth0, whose MTU is 1500")
    };
    assert_eq!(above(Backend::HostGw, 1501, node(1)), fit(1501, 1500, "host-gw"));
    assert_eq!(above(vxlan(false), 1451, node4(1)), fit(1451, 1450, "vxlan"));
    assert_eq!(above(vxlan(false), 1450, node(1)), fit(1450, 1430, "vxlan"));
    assert_eq!(above(ipip("tunl0", false), 1481, node4(1)), fit(1481, 1480, "ipip"));
    assert_eq!(above(vxlan(true), 1501, node(1)), fit(1501, 1500, "vxlan"));
}

#[test]
fn what_ipv6_and_ipv4_cannot_live_with_is_refused() {
    let mut facts = facts(&fleet(node(1), vec![]));
    let given = Options { mtu: Some(1279), ..options(vxlan(false)) };
    assert_eq!(refused(&facts, &given, node(1)), "mtu 1279: IPv6 pods need at least 1280");
    assert!(peers::plan(&fleet(node4(1), vec![]), &facts, &given).is_ok());

    facts.underlays.v6.as_mut().unwrap().mtu = 1300;
    assert_eq!(
        refused(&facts, &options(vxlan(false)), node(1)),
        "iface eth0: its MTU of 1300 leaves 1230 bytes to vxlan, and IPv6 needs 1280"
    );
    assert_eq!(
        refused(&facts, &options(vxlan(true)), node(1)),
        "iface eth0: its MTU of 1300 leaves 1230 bytes to vxlan, and IPv6 needs 1280"
    );
    assert!(peers::plan(&fleet(node(1), vec![]), &facts, &options(Backend::HostGw)).is_ok());

    facts.underlays.v6.as_mut().unwrap().mtu = 1500;
    facts.underlays.v4.as_mut().unwrap().mtu = 1300;
    assert_eq!(
        refused(&facts, &options(vxlan(false)), node(1)),
        "iface eth0: its MTU of 1300 leaves 1250 bytes to vxlan, and IPv6 needs 1280"
    );
    facts.underlays.v4.as_mut().unwrap().mtu = 40;
    assert_eq!(
        refused(&facts, &options(vxlan(false)), node4(1)),
        "iface eth0: its MTU of 40 leaves 0 bytes to vxlan, and IPv4 needs 68"
    );
}

#[test]
fn an_underlay_with_more_than_ip_can_carry_counts_as_what_it_can() {
    let alone = fleet(node4(1), vec![]);
    let mut facts = facts(&alone);
    facts.underlays.v4.as_mut().unwrap().mtu = 65_536;
    let plan = peers::plan(&alone, &facts, &options(ipip("tunl0", false))).unwrap();
    assert_eq!(plan.mtu, 65_515);
}

#[test]
fn what_does_not_go_together_at_all_is_refused() {
    let both = facts(&fleet(node(1), vec![]));
    assert_eq!(
        refused(&both, &options(ipip("tunl0", false)), node(1)),
        "local.podCIDRs fd00:244:1::/64: ipip carries IPv4 only"
    );
    for backend in [Backend::HostGw, vxlan(false)] {
        let mut facts = both.clone();
        facts.underlays.v6 = None;
        assert_eq!(
            refused(&facts, &options(backend), node(1)),
            "local.nodeIPs fd00:2::1: no interface of this node holds that address"
        );
    }
}
