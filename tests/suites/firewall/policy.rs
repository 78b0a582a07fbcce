//! Ingress policies, by traffic.

use serde_json::{Value, json};
use testkit::{Node, need, ping, silent};

use super::{Guest, Kind, dropping, filter, firewall, network, reaches};
use crate::conf::DUAL;

const OTHER: &[&str] = &["10.2.0.0/24", "fd00:2::/64"];
const BACKENDS: [&str; 2] = ["nftables", "iptables"];

fn options(backend: &str, policy: &str) -> Value {
    json!({"backend": backend, "ingressPolicy": policy})
}

fn meet(a: &Guest, b: &Guest) -> bool {
    (0..2).all(|at| ping(&a.pod, &b.ip(at)) && ping(&b.pod, &a.ip(at)))
}

fn are_strangers(a: &Guest, b: &Guest) -> bool {
    (0..2).all(|at| silent(&a.pod, &b.ip(at)) && silent(&b.pod, &a.ip(at)))
}

/// Two networks on bridges of their own.
fn networks(node: &Node) -> [Value; 2] {
    [network(node, "one", "br1", DUAL), network(node, "two", "br2", OTHER)]
}

#[test]
fn same_bridge_keeps_the_containers_of_other_bridges_away() {
    need!(Nft, Iptables);
    for backend in BACKENDS {
        let (node, outside) = dropping(Kind::Nft);
        let before = filter(&node, Kind::Nft);
        let [one, two] = networks(&node);
        let [a, neighbour] =
            [(); 2].map(|()| Guest::new(&node, &one, options(backend, "same-bridge")));
        let far = Guest::new(&node, &two, options(backend, "same-bridge"));
        assert!(meet(&a, &neighbour), "{backend}");
        assert!(are_strangers(&a, &far), "{backend}");
        assert!(reaches(&a.pod, &outside) && reaches(&far.pod, &outside), "{backend}");
        for guest in [&a, &neighbour, &far] {
            node.check(&guest.admitted).ok();
        }
        // The policy stays as long as somebody on the bridge wants it.
        neighbour.leave(&node);
        assert!(are_strangers(&a, &far), "{backend}");
        far.leave(&node);
        node.check(&a.admitted).ok();
        a.leave(&node);
        assert_eq!(filter(&node, Kind::Nft), before, "{backend}");
        let left = node.snapshot().section("nft").join("\n");
        assert!(!left.contains("podwire-admission"), "{backend}: {left}");
    }
}

#[test]
fn an_open_network_reaches_the_others_as_with_the_reference() {
    need!(Nft, Iptables);
    for backend in BACKENDS {
        let (node, _outside) = dropping(Kind::Nft);
        let [one, two] = networks(&node);
        let closed = Guest::new(&node, &one, options(backend, "same-bridge"));
        let open = Guest::new(&node, &two, options(backend, "open"));
        assert!(meet(&open, &closed), "{backend}");
    }
}

#[test]
fn a_second_add_that_asks_for_no_policy_ends_the_first_ones() {
    need!(Nft);
    let (node, _outside) = dropping(Kind::Nft);
    let [one, two] = networks(&node);
    let far = Guest::new(&node, &two, options("nftables", "same-bridge"));
    let guest = Guest::new(&node, &one, options("nftables", "same-bridge"));
    assert!(are_strangers(&guest, &far));
    let conf = firewall(&guest.joined, options("nftables", "open"));
    let open = node.attach(&conf, &guest.pod);
    assert!(meet(&guest, &far));
    node.check(&open).ok();
    node.check(&far.admitted).ok();
}

#[test]
fn isolated_keeps_neighbours_away_as_well() {
    need!(Nft, Iptables);
    for backend in BACKENDS {
        let (node, outside) = dropping(Kind::Nft);
        let before = filter(&node, Kind::Nft);
        let [one, two] = networks(&node);
        let [a, neighbour] =
            [(); 2].map(|()| Guest::new(&node, &one, options(backend, "isolated")));
        let far = Guest::new(&node, &two, options(backend, "same-bridge"));
        assert!(are_strangers(&a, &neighbour), "{backend}");
        assert!(are_strangers(&a, &far), "{backend}");
        assert!(reaches(&a.pod, &outside) && reaches(&neighbour.pod, &outside), "{backend}");
        for (at, gateway) in ["10.1.0.1", "fd00:1::1"].iter().enumerate() {
            assert!(ping(&a.pod, gateway) && ping(&node, &a.ip(at)), "{backend}");
        }
        // By way of the node they meet no more.
        a.pod.run(&["ip", "route", "add", &neighbour.ip(0), "via", "10.1.0.1"]);
        neighbour.pod.run(&["ip", "route", "add", &a.ip(0), "via", "10.1.0.1"]);
        assert!(silent(&a.pod, &neighbour.ip(0)), "{backend}");
        for guest in [&a, &neighbour, &far] {
            node.check(&guest.joined).ok();
            node.check(&guest.admitted).ok();
        }
        node.run(&["bridge", "link", "set", "dev", &a.joined.host_link(), "isolated", "off"]);
        node.check(&a.admitted).fails().is(103, &["isolated", &a.joined.host_link()]);
        for guest in [&a, &neighbour, &far] {
            guest.leave(&node);
        }
        assert_eq!(filter(&node, Kind::Nft), before, "{backend}");
    }
}

#[test]
fn a_policy_that_nothing_can_keep_is_refused() {
    let node = Node::new();
    let pod = node.pod();
    let conf = |interfaces: Value| {
        json!({
            "cniVersion": "1.1.0", "name": "net", "type": "firewall", "ingressPolicy": "same-bridge",
            "prevResult": {"cniVersion": "1.1.0", "interfaces": interfaces,
                "ips": [{"address": "10.1.0.5/24"}]},
        })
    };
    let before = node.snapshot();
    let inside = json!([{"name": "eth0", "sandbox": "/run/netns/c"}]);
    node.add(&conf(json!([])), &pod, "eth0").fails().is(7, &["same-bridge", "no interfaces"]);
    node.add(&conf(inside), &pod, "eth0").fails().is(7, &["same-bridge", "eth0"]);
    // iptables would take it for all bridges whose names begin so.
    let mut conf = conf(json!([{"name": "br+"}]));
    conf["backend"] = json!("iptables");
    node.add(&conf, &pod, "eth0").fails().is(7, &["same-bridge", "br+", "iptables"]);
    before.assert_same(&node.snapshot());
}
