//! The kit itself: the ground must hold before anything stands on it.

use serde_json::json;
use testkit::{
    Fleet, Netns, Node, OUTSIDE_V4, OUTSIDE_V6, Pods, ROUTER_V4, ROUTER_V6, UPLINK_V4, Underlay,
    fits, ping, silent, tcp, too_big, transfer, udp,
};

#[test]
fn a_namespace_is_reached_by_its_path_until_it_is_removed() {
    let mut netns = Netns::new();
    let inside = netns.run(&["readlink", "/proc/self/ns/net"]);
    let path = format!("--net={}", netns.path());
    let entered = Netns::new().run(&["nsenter", &path, "readlink", "/proc/self/ns/net"]);
    assert_eq!(inside, entered);
    let path = netns.path().to_owned();
    netns.remove();
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn a_node_reaches_the_machine_outside_and_no_other() {
    let node = Node::new();
    let outside = node.outside();
    assert!(ping(&node, OUTSIDE_V4) && ping(&node, OUTSIDE_V6));
    assert_eq!(tcp(&node, &outside, OUTSIDE_V4).unwrap().to_string(), UPLINK_V4);
    assert_eq!(udp(&node, &outside, OUTSIDE_V4).unwrap().to_string(), UPLINK_V4);
    assert!(silent(&node, "192.0.2.77"));
}

#[test]
fn a_snapshot_tells_what_was_added_and_what_is_gone() {
    let node = Node::new();
    let empty = node.snapshot();
    node.run(&["ip", "link", "add", "b0", "type", "bridge"]);
    node.run(&["ip", "addr", "add", "10.1.2.3/24", "dev", "b0"]);
    node.run(&["ip", "route", "add", "blackhole", "10.9.0.0/16", "table", "77"]);
    std::fs::create_dir_all(format!("{}/net", node.leases())).unwrap();
    std::fs::write(format!("{}/net/10.1.2.9", node.leases()), "pod\r\neth0").unwrap();
    let full = node.snapshot();
    let difference = empty.difference(&full);
    for line in
        ["+ links: ", "+ addresses: \"b0\" \"10.1.2.3\"/24", "10.9.0.0/16", "10.1.2.9: \"pod"]
    {
        assert!(difference.contains(line), "{line:?} is not in\n{difference}");
    }
    assert!(!difference.contains("\n- "));
    assert!(full.difference(&empty).contains("- files: networks/net/10.1.2.9"));
    full.assert_same(&node.snapshot());
}

#[test]
fn a_node_names_its_leases() {
    let node = Node::new();
    assert_eq!(node.host_local(&["10.0.0.0/24"])["ranges"], json!([[{"subnet": "10.0.0.0/24"}]]));
    std::fs::create_dir_all(format!("{}/net", node.leases())).unwrap();
    for name in ["10.0.0.9", "lock", "last_reserved_ip.0", "fd00::2"] {
        std::fs::write(format!("{}/net/{name}", node.leases()), "").unwrap();
    }
    assert_eq!(node.leased("net"), ["10.0.0.9", "fd00::2"]);
}

#[test]
fn nodes_of_a_fleet_reach_each_other_whole_and_true() {
    for underlay in [Underlay::Segment, Underlay::Routed] {
        let fleet = Fleet::new(underlay, Pods::Dual);
        for (a, b) in [(1, 2), (2, 3), (3, 1)] {
            for family in 0..2 {
                let ip = |n: usize| {
                    let ips = &fleet.roster.entries[n - 1]["nodeIPs"];
                    ips[family].as_str().expect("an address").to_owned()
                };
                let (from, to) = (fleet.node(a), fleet.node(b));
                assert!(ping(from, &ip(b)), "{underlay:?}: {a} to {b}");
                assert_eq!(tcp(from, to, &ip(b)).unwrap().to_string(), ip(a));
                assert_eq!(udp(from, to, &ip(b)).unwrap().to_string(), ip(a));
                assert!(fits(from, &ip(b), 1500) && too_big(from, &ip(b), 1501));
                assert!(transfer(from, to, &ip(b), 100_001).unwrap());
            }
        }
    }
}

#[test]
fn a_fleet_s_far_node_is_behind_the_router() {
    let fleet = Fleet::new(Underlay::Routed, Pods::Dual);
    for (family, to, router) in
        [("-4", "192.168.3.3", ROUTER_V4), ("-6", "fd00:192:168:3::3", ROUTER_V6)]
    {
        let way = fleet.node(1).ip(&[family, "route", "get", to]);
        assert_eq!(way[0]["gateway"], router);
    }
    assert!(fleet.adjacent(1, 2) && !fleet.adjacent(1, 3));
}

#[test]
fn a_roster_tells_each_node_of_the_others() {
    let mut fleet = Fleet::new(Underlay::Segment, Pods::V4);
    fleet.roster.entries[2] = json!(null);
    fleet.write_all();
    let file = std::fs::read_to_string(fleet.roster.path(fleet.node(2))).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(
        file,
        json!({
            "version": 1, "clusterCIDRs": ["10.244.0.0/16"],
            "local": {"name": "n2", "podCIDRs": ["10.244.2.0/24"], "nodeIPs": ["192.168.2.2"]},
            "peers": [{"name": "n1", "podCIDRs": ["10.244.1.0/24"], "nodeIPs": ["192.168.2.1"]}],
        })
    );
    assert!(!fleet.roster.path(fleet.node(3)).exists());
}
