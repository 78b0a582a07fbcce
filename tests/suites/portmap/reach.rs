//! Who reaches the container by a port of the node, and as whom.

use std::net::UdpSocket;

use serde_json::{Value, json};
use testkit::{Node, OUTSIDE_V4, OUTSIDE_V6, UPLINK_V4, UPLINK_V6, need};

use super::{
    MOMENT, PATIENCE, at, bridged, client, connect, exchange, is_closed, portmap, publish, routed,
    tcp, udp,
};
use crate::conf::with;

const GATEWAYS: [&str; 2] = ["10.1.0.1", "fd00:1::1"];
const UPLINKS: [&str; 2] = [UPLINK_V4, UPLINK_V6];
const OUTSIDERS: [&str; 2] = [OUTSIDE_V4, OUTSIDE_V6];
const FAMILIES: [(usize, bool); 2] = [(0, false), (1, true)];
const NETWORKS: [fn(&Node) -> Value; 2] = [bridged, routed];

#[test]
fn a_tcp_port_is_reached_from_everywhere() {
    need!(Nft);
    for network in NETWORKS {
        let node = Node::new();
        let outside = node.outside();
        let (network, conf) = (network(&node), portmap(&[tcp(8080, 80)]));
        let (pod, other) = (node.pod(), node.pod());
        let made = publish(&node, &pod, &network, &conf);
        node.attach(&network, &other);
        for (family, v6) in FAMILIES {
            let (uplink, listen) = (at(UPLINKS[family], 8080), at(&made.ip(v6), 80));
            let seen = |from: &testkit::Netns, dial: &str| {
                connect(from, dial, &pod, &listen)
                    .unwrap_or_else(|e| panic!("{dial} of {}: {e}", network["type"]))
                    .to_string()
            };
            // The world is seen as itself.
            assert_eq!(seen(&outside, &uplink), OUTSIDERS[family]);
            assert_eq!(seen(&node, &uplink), UPLINKS[family]);
            // Its neighbours, and the container itself, are seen as the node, by way of which they
            // must be answered.
            assert_eq!(seen(&pod, &uplink), GATEWAYS[family]);
            assert_eq!(seen(&other, &uplink), GATEWAYS[family]);
            assert_eq!(seen(&other, &at(GATEWAYS[family], 8080)), GATEWAYS[family]);
        }
        assert_eq!(
            connect(&node, "127.0.0.1:8080", &pod, &at(&made.ip(false), 80)).unwrap().to_string(),
            GATEWAYS[0]
        );
        // What is for ::1 cannot leave the node, and must not hang.
        assert!(is_closed(&node, "[::1]:8080"));
        assert!(is_closed(&outside, &at(UPLINK_V4, 80)));
        node.check(&made.ports).ok();
        made.remove(&node);
        assert!(is_closed(&outside, &at(UPLINK_V4, 8080)));
    }
}

#[test]
fn a_udp_port_is_reached_from_everywhere() {
    need!(Nft);
    for network in NETWORKS {
        let node = Node::new();
        let outside = node.outside();
        let (network, conf) = (network(&node), portmap(&[udp(5353, 53)]));
        let (pod, other) = (node.pod(), node.pod());
        let made = publish(&node, &pod, &network, &conf);
        node.attach(&network, &other);
        for (family, v6) in FAMILIES {
            let (uplink, listen) = (at(UPLINKS[family], 5353), at(&made.ip(v6), 53));
            for (from, seen) in [
                (&outside, OUTSIDERS[family]),
                (&node, UPLINKS[family]),
                (&pod, GATEWAYS[family]),
                (&other, GATEWAYS[family]),
            ] {
                let told = exchange(&client(from, &uplink), &pod, &listen);
                assert_eq!(told.unwrap().to_string(), seen, "{uplink}");
            }
        }
        let local = client(&node, "127.0.0.1:5353");
        assert_eq!(
            exchange(&local, &pod, &at(&made.ip(false), 53)).unwrap().to_string(),
            GATEWAYS[0]
        );
    }
}

#[test]
fn what_is_for_another_machine_is_not_captured() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let (pod, other) = (node.pod(), node.pod());
    let network = bridged(&node);
    publish(&node, &pod, &network, &portmap(&[tcp(8080, 80)]));
    node.attach(&network, &other);
    for (family, _) in FAMILIES {
        let there = at(OUTSIDERS[family], 8080);
        for from in [&node as &testkit::Netns, &pod, &other] {
            let seen = connect(from, &there, &outside, &there).unwrap().to_string();
            assert_eq!(seen, UPLINKS[family]);
        }
    }
}

#[test]
fn a_port_at_one_address_is_at_no_other() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let pod = node.pod();
    let own = portmap(&[
        with(tcp(8080, 80), json!({"hostIP": "127.0.0.1"})),
        with(tcp(8081, 80), json!({"hostIP": UPLINK_V4})),
        with(tcp(8082, 80), json!({"hostIP": UPLINK_V6})),
        with(tcp(8083, 80), json!({"hostIP": "0.0.0.0"})),
        with(tcp(8084, 80), json!({"hostIP": "::"})),
    ]);
    let made = publish(&node, &pod, &bridged(&node), &own);
    let [v4, v6] = [at(&made.ip(false), 80), at(&made.ip(true), 80)];
    connect(&node, "127.0.0.1:8080", &pod, &v4).unwrap();
    assert!(is_closed(&outside, &at(UPLINK_V4, 8080)));
    assert!(is_closed(&node, &at(UPLINK_V4, 8080)));
    connect(&outside, &at(UPLINK_V4, 8081), &pod, &v4).unwrap();
    assert!(is_closed(&node, "127.0.0.1:8081"));
    assert!(is_closed(&outside, &at(UPLINK_V6, 8081)));
    connect(&outside, &at(UPLINK_V6, 8082), &pod, &v6).unwrap();
    assert!(is_closed(&outside, &at(UPLINK_V4, 8082)));
    connect(&outside, &at(UPLINK_V4, 8083), &pod, &v4).unwrap();
    assert!(is_closed(&outside, &at(UPLINK_V6, 8083)));
    connect(&outside, &at(UPLINK_V6, 8084), &pod, &v6).unwrap();
    assert!(is_closed(&outside, &at(UPLINK_V4, 8084)));
    node.check(&made.ports).ok();
}

#[test]
fn without_snat_the_container_sees_everybody_as_themselves() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let (pod, other) = (node.pod(), node.pod());
    let network = routed(&node);
    let own = with(portmap(&[tcp(8080, 80)]), json!({"snat": false}));
    let made = publish(&node, &pod, &network, &own);
    let beside = node.attach(&network, &other);
    for (family, v6) in FAMILIES {
        let (uplink, listen) = (at(UPLINKS[family], 8080), at(&made.ip(v6), 80));
        let seen = |from| connect(from, &uplink, &pod, &listen).unwrap().to_string();
        assert_eq!(seen(&outside), OUTSIDERS[family]);
        assert_eq!(seen(&other), beside.ips()[family]);
    }
    node.check(&made.ports).ok();
    made.remove(&node);
}

#[test]
fn with_masq_all_the_container_sees_the_node_alone() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let pod = node.pod();
    let own = with(portmap(&[tcp(8080, 80)]), json!({"masqAll": true}));
    let made = publish(&node, &pod, &bridged(&node), &own);
    for (family, v6) in FAMILIES {
        let (uplink, listen) = (at(UPLINKS[family], 8080), at(&made.ip(v6), 80));
        assert_eq!(
            connect(&outside, &uplink, &pod, &listen).unwrap().to_string(),
            GATEWAYS[family]
        );
    }
    connect(&node, "127.0.0.1:8080", &pod, &at(&made.ip(false), 80)).unwrap();
    node.check(&made.ports).ok();
    made.remove(&node);
}

#[test]
fn sctp_ports_are_in_the_same_maps() {
    need!(Nft);
    let node = Node::new();
    let pod = node.pod();
    let own = portmap(&[json!({"hostPort": 3868, "containerPort": 3868, "protocol": "SCTP"})]);
    publish(&node, &pod, &bridged(&node), &own);
    let rules = super::of_ports(&node).join("\n");
    assert!(rules.contains(r#"{"concat":["sctp",3868]}"#), "{rules}");
}

#[test]
fn the_nodes_loopback_addresses_stay_its_own() {
    // CVE-2020-8558: what lets answers to 127.0.0.1 in must not let questions in.
    need!(Nft);
    let node = Node::new();
    let (pod, server) = (node.pod(), "127.0.0.1:9999");
    publish(&node, &pod, &bridged(&node), &portmap(&[tcp(8080, 80)]));
    pod.set_sysctl("net/ipv4/conf/eth0/route_localnet", "1");
    pod.run(&["ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local"]);
    pod.run(&["ip", "route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local"]);
    pod.run(&["ip", "route", "add", "127.0.0.1", "via", "10.1.0.1"]);
    let listener = node.enter(|| UdpSocket::bind(server)).unwrap();
    let asks = |from, patience| {
        client(from, server).send(b"hello").unwrap();
        listener.set_read_timeout(Some(patience)).unwrap();
        listener.recv_from(&mut [0; 5]).ok().map(|(_, peer)| peer.ip().to_string())
    };
    assert_eq!(asks(&pod, MOMENT), None);
    assert_eq!(asks(&node, PATIENCE).as_deref(), Some("127.0.0.1"));
    // It is the rule that keeps it out.
    node.run(&["nft", "flush", "chain", "inet", "podwire-ports", "loopback"]);
    assert_eq!(asks(&pod, PATIENCE).as_deref(), Some("10.1.0.2"));
}
