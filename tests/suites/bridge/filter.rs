//! Masquerading and anti-spoofing, judged by what others see.

use serde_json::{Value, json};
use testkit::{
    Netns, Node, OUTSIDE_V4, OUTSIDE_V6, Pod, UPLINK_V4, UPLINK_V6, need, ping, silent, tcp, udp,
};

use super::Pair;
use crate::conf::{DUAL, bridge, guarded, ptp, with};
use crate::walk::{Fault, points};

/// A way back to the pods, for those that are not masqueraded.
fn know_pods(outside: &Netns) {
    outside.run(&["ip", "route", "add", "10.1.0.0/24", "via", UPLINK_V4]);
    outside.run(&["ip", "route", "add", "fd00:1::/64", "via", UPLINK_V6]);
}

#[test]
fn the_world_sees_the_node_where_a_pod_is_masqueraded() {
    let masqueraded = json!({"ipMasq": true, "isDefaultGateway": true});
    let pair = Pair::new(|node| with(bridge(node, DUAL), masqueraded.clone()));
    let outside = pair.node.outside();
    know_pods(&outside);
    let [a, b] = &pair.pods;
    for (at, to, uplink) in [(0, OUTSIDE_V4, UPLINK_V4), (1, OUTSIDE_V6, UPLINK_V6)] {
        let own = pair.attached[0].ips()[at].clone();
        let other = pair.attached[1].ips()[at].clone();
        assert_eq!(tcp(a, &outside, to).unwrap().to_string(), uplink);
        assert_eq!(udp(a, &outside, to).unwrap().to_string(), uplink);
        assert_eq!(tcp(a, b, &other).unwrap().to_string(), own);
        assert_eq!(tcp(&outside, a, &own).unwrap().to_string(), to);
    }
    for attached in &pair.attached {
        pair.node.check(attached).ok();
    }
}

#[test]
fn the_world_sees_the_pod_where_it_is_not_masqueraded() {
    let pair = Pair::new(|node| with(bridge(node, DUAL), json!({"isDefaultGateway": true})));
    let outside = pair.node.outside();
    know_pods(&outside);
    for (at, to) in [(0, OUTSIDE_V4), (1, OUTSIDE_V6)] {
        let own = pair.attached[0].ips()[at].clone();
        assert_eq!(tcp(&pair.pods[0], &outside, to).unwrap().to_string(), own);
    }
}

#[test]
fn one_pod_is_masqueraded_and_its_neighbour_is_not() {
    let node = Node::new();
    let outside = node.outside();
    know_pods(&outside);
    let conf = with(bridge(&node, DUAL), json!({"isDefaultGateway": true}));
    let (masked, plain) = (node.pod(), node.pod());
    let attached = node.attach(&with(conf.clone(), json!({"ipMasq": true})), &masked);
    let open = node.attach(&conf, &plain);
    assert_eq!(tcp(&masked, &outside, OUTSIDE_V4).unwrap().to_string(), UPLINK_V4);
    assert_eq!(tcp(&plain, &outside, OUTSIDE_V4).unwrap().to_string(), open.ip());
    // The address serves another pod later, who did not ask to be masqueraded.
    let ip = attached.ip();
    node.del(&attached).ok();
    let late = node.pod();
    let conf = with(conf, json!({"runtimeConfig": {"ips": [ip]}}));
    assert_eq!(node.attach(&conf, &late).ip(), ip);
    assert_eq!(tcp(&late, &outside, OUTSIDE_V4).unwrap().to_string(), ip);
}

/// Further addresses of the machine outside.
const EXEMPT_V4: &str = "198.51.100.7";
const EXEMPT_V6: &str = "2001:db8:7::7";

/// Makes them known to node and machine.
fn know_exempt(node: &Node, outside: &Netns) {
    for (address, to) in [(EXEMPT_V4, OUTSIDE_V4), (EXEMPT_V6, OUTSIDE_V6)] {
        outside.run(&["ip", "addr", "add", address, "dev", "lo"]);
        node.run(&["ip", "route", "add", address, "via", to]);
    }
}

#[test]
fn an_exempt_destination_sees_the_pod_and_another_the_node() {
    let exempt = ["198.51.100.0/24", "2001:db8:7::/48"];
    let more = json!({"isDefaultGateway": true, "ipMasq": true, "nonMasqueradeCIDRs": exempt});
    let routed = |node: &Node| with(ptp(node, DUAL), more.clone());
    let bridged = |node: &Node| with(bridge(node, DUAL), more.clone());
    for conf in [&bridged as &dyn Fn(&Node) -> Value, &routed] {
        let (node, pod) = (Node::new(), Pod::new());
        let outside = node.outside();
        know_pods(&outside);
        know_exempt(&node, &outside);
        let conf = conf(&node);
        let attached = node.attach(&conf, &pod);
        for (at, to, exempt, uplink) in
            [(0, OUTSIDE_V4, EXEMPT_V4, UPLINK_V4), (1, OUTSIDE_V6, EXEMPT_V6, UPLINK_V6)]
        {
            assert_eq!(tcp(&pod, &outside, to).unwrap().to_string(), uplink);
            let own = &attached.ips()[at];
            assert_eq!(tcp(&pod, &outside, exempt).unwrap().to_string(), *own);
            assert_eq!(udp(&pod, &outside, exempt).unwrap().to_string(), *own);
        }
        node.check(&attached).ok();
        // CHECK goes by the configuration that it is called with.
        let mut other = attached.clone();
        other.conf["nonMasqueradeCIDRs"] = json!(exempt[..1]);
        node.check(&other).fails().is(103, &["fd00:1::", "other destinations are exempt"]);
        node.del(&attached).ok();
        assert_eq!(node.snapshot().section("nft"), [""; 0]);
    }
}

#[test]
fn what_the_network_exempts_sees_the_pod_as_soon_as_it_is_in_the_networks_sets() {
    need!(Nft);
    let more = json!({"isDefaultGateway": true, "ipMasq": true, "exemptNetworkNodes": true});
    let routed = |node: &Node| with(ptp(node, DUAL), more.clone());
    let bridged = |node: &Node| with(bridge(node, DUAL), more.clone());
    for conf in [&bridged as &dyn Fn(&Node) -> Value, &routed] {
        let (node, pod) = (Node::new(), Pod::new());
        let outside = node.outside();
        know_pods(&outside);
        know_exempt(&node, &outside);
        let attached = node.attach(&conf(&node), &pod);
        let all = node.run(&["nft", "list", "ruleset"]);
        for (at, to, exempt, uplink, set) in [
            (0, OUTSIDE_V4, EXEMPT_V4, UPLINK_V4, "exempt4-"),
            (1, OUTSIDE_V6, EXEMPT_V6, UPLINK_V6, "exempt6-"),
        ] {
            let name = all.split_whitespace().find(|word| word.starts_with(set)).unwrap();
            assert_eq!(tcp(&pod, &outside, exempt).unwrap().to_string(), uplink);
            node.run(&["nft", "add", "element", "inet", "podwire", name, "{", exempt, "}"]);
            assert_eq!(tcp(&pod, &outside, exempt).unwrap().to_string(), attached.ips()[at]);
            assert_eq!(tcp(&pod, &outside, to).unwrap().to_string(), uplink);
        }
        node.check(&attached).ok();
        let mut other = attached.clone();
        other.conf["exemptNetworkNodes"] = json!(false);
        node.check(&other).fails().is(103, &["10.1.0.", "other destinations are exempt"]);
        node.del(&attached).ok();
        let left = node.run(&["nft", "list", "ruleset"]);
        assert!(left.contains(EXEMPT_V4) && left.contains(EXEMPT_V6), "{left}");
        assert!(!left.contains("chain") && !left.contains("pods-"), "{left}");
    }
}

#[test]
fn both_back_ends_may_be_asked_for() {
    for backend in ["nftables", "iptables"] {
        let (node, pod) = (Node::new(), Pod::new());
        let outside = node.outside();
        let more = json!({"ipMasq": true, "ipMasqBackend": backend, "isDefaultGateway": true});
        let attached = node.attach(&with(bridge(&node, DUAL), more), &pod);
        assert_eq!(tcp(&pod, &outside, OUTSIDE_V4).unwrap().to_string(), UPLINK_V4);
        node.del(&attached).ok();
    }
}

#[test]
fn del_takes_the_rules_of_its_attachment_and_no_other() {
    need!(Nft);
    let node = Node::new();
    let conf = guarded(&node);
    let pods = [node.pod(), node.pod(), node.pod()];
    let first = node.attach(&conf, &pods[0]);
    let one = node.snapshot();
    assert!(one.section("nft").iter().any(|line| line.contains("10.1.0.2")));
    let more = [node.attach(&conf, &pods[1]), node.attach_as(&conf, &pods[0], "net1")];
    for attached in more {
        node.del(&attached).ok();
    }
    one.assert_same(&node.snapshot());
    node.del(&first).ok();
    for trace in ["10.1.0.2", "fd00:1::2", first.container.as_str()] {
        let nft = node.snapshot();
        let left = nft.section("nft").iter().find(|line| line.contains(trace));
        assert_eq!(left, None, "{trace} is left");
    }
}

#[test]
fn a_frame_with_a_forged_address_is_dropped() {
    let pair = Pair::new(|node| with(bridge(node, DUAL), json!({"macspoofchk": true})));
    let [a, b] = &pair.pods;
    let other = pair.attached[1].ip();
    assert!(ping(a, &other) && ping(a, "10.1.0.1"));
    let mac = a.link("eth0").unwrap()["address"].as_str().unwrap().to_owned();
    a.run(&["ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"]);
    assert!(silent(a, &other) && silent(a, "10.1.0.1"));
    assert!(ping(b, "10.1.0.1"), "an honest neighbour is heard");
    a.run(&["ip", "link", "set", "eth0", "address", &mac]);
    for (pod, link) in [(b, "eth0"), (a, "eth0")] {
        pod.run(&["ip", "neigh", "flush", "dev", link]);
    }
    assert!(ping(a, &other));
    pair.node.check(&pair.attached[0]).ok();
}

#[test]
fn without_macspoofchk_an_address_may_change() {
    let pair = Pair::new(|node| bridge(node, &DUAL[..1]));
    let [a, _] = &pair.pods;
    a.run(&["ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"]);
    assert!(ping(a, &pair.attached[1].ip()));
}

#[test]
fn a_port_loses_its_guard_only_when_nothing_can_pass_it() {
    need!(Nft);
    let node = Node::new();
    let conf = guarded(&node);
    let stays = node.pod();
    node.attach(&conf, &stays);
    let counted = node.attach_as(&conf, &stays, "net1");
    let (mut kept, mut lost) = (0, 0);
    for at in 1..=points(&node.del_call(&counted)) {
        for fault in [Fault::Fail, Fault::Die] {
            let pod = node.pod();
            let attached = node.attach(&conf, &pod);
            let port = attached.host_link();
            node.del_call(&attached).fault(&fault.order(at)).run();
            if let Some(link) = node.link(&port) {
                let up = link["flags"].as_array().unwrap().contains(&json!("UP"));
                let rules = node.run(&["nft", "list", "map", "bridge", "podwire", "guarded"]);
                let guarded = rules.contains(&port);
                assert!(guarded || !up, "{}: {link}\n{rules}", fault.order(at));
                kept += usize::from(guarded);
                lost += usize::from(!guarded);
            }
            node.del(&attached).ok();
        }
    }
    assert!(kept > 0 && lost > 0, "no DEL ended before the guard was removed, or none after");
}
