//! From ADD to DEL, in every way that runtimes go.

use serde_json::{Value, json};
use testkit::{Node, UPLINK_V4, VERSIONS, need};

use super::{at, bridged, connect, is_closed, of_ports, portmap, publish, routed, tcp, udp};
use crate::conf::with;

fn several() -> Value {
    portmap(&[
        tcp(8080, 80),
        udp(8080, 80),
        with(tcp(8081, 81), json!({"hostIP": "127.0.0.1"})),
        with(udp(8081, 81), json!({"hostIP": UPLINK_V4})),
    ])
}

#[test]
fn every_version_is_served_from_add_to_del() {
    need!(Nft);
    for version in VERSIONS {
        let node = Node::new();
        let pod = node.pod();
        let network = with(bridged(&node), json!({"cniVersion": version}));
        let base = node.attach(&network, &pod);
        let before = node.snapshot();
        let own = with(several(), json!({"cniVersion": version}));
        let chained = with(own, json!({"prevResult": base.result}));
        let output = node.add(&chained, &pod, "eth0");
        assert_eq!(output.stderr, "", "{version}");
        let ports = node.attached(&chained, &pod, "eth0", &output);
        assert_eq!(ports.result, base.result, "{version}");
        let outside = node.outside();
        let ip = base.ips().into_iter().find(|ip| !ip.contains(':')).unwrap();
        connect(&outside, &at(UPLINK_V4, 8080), &pod, &at(&ip, 80)).unwrap();
        node.run(&["ip", "link", "del", "up0"]);
        if *version >= "0.4.0" {
            node.check(&ports).ok();
        }
        if *version >= "1.1.0" {
            node.status(&several()).ok();
            node.gc(&several(), &[&ports]).ok();
            node.check(&ports).ok();
        }
        node.del(&ports).ok();
        node.del(&ports).ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn without_mappings_nothing_is_touched() {
    need!(Nft);
    let node = Node::new();
    let pod = node.pod();
    let base = node.attach(&bridged(&node), &pod);
    let before = node.snapshot();
    for runtime in
        [json!(null), json!({}), json!({"portMappings": null}), json!({"PortMappings": []})]
    {
        let conf = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "portmap", "runtimeConfig": runtime,
        });
        let ports = super::map(&node, &pod, &base, &conf);
        before.assert_same(&node.snapshot());
        node.check(&ports).ok();
        node.del(&ports).ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn without_a_previous_result_there_is_nothing_to_lead_to() {
    let node = Node::new();
    let before = node.snapshot();
    node.add(&several(), &node.pod(), "eth0").fails().is(7, &["prevResult"]);
    before.assert_same(&node.snapshot());
}

#[test]
fn a_mapping_that_leads_nowhere_is_told_of() {
    need!(Nft);
    let node = Node::new();
    let mut network = bridged(&node);
    network["ipam"] = node.host_local(&["10.1.0.0/24"]);
    let pod = node.pod();
    let base = node.attach(&network, &pod);
    for address in ["::", "2001:db8::1", "::1"] {
        let conf = with(
            portmap(&[with(tcp(8080, 80), json!({"hostIP": address}))]),
            json!({"prevResult": base.result}),
        );
        let output = node.add(&conf, &pod, "eth0");
        output.ok();
        assert!(output.stderr.contains("8080/tcp"), "{output}");
        assert!(of_ports(&node).is_empty());
    }
}

#[test]
fn a_second_add_changes_nothing_and_another_one_what_it_says() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let pod = node.pod();
    let made = publish(&node, &pod, &bridged(&node), &several());
    let before = node.snapshot();
    super::map(&node, &pod, &made.base, &several());
    before.assert_same(&node.snapshot());
    for own in [
        portmap(&[tcp(8080, 99)]),
        portmap(&[tcp(9090, 80)]),
        with(several(), json!({"snat": false})),
        with(several(), json!({"masqAll": true})),
        with(several(), json!({"conditionsV4": ["ip saddr 192.0.2.0/24"]})),
        several(),
    ] {
        let ports = super::map(&node, &pod, &made.base, &own);
        node.check(&ports).ok();
        // As if it had been the first.
        let now = of_ports(&node);
        node.del(&ports).ok();
        assert!(of_ports(&node).is_empty(), "{own}");
        super::map(&node, &pod, &made.base, &own);
        assert_eq!(now, of_ports(&node), "{own}");
    }
    before.assert_same(&node.snapshot());
    super::map(&node, &pod, &made.base, &portmap(&[tcp(9090, 80)]));
    assert!(is_closed(&outside, &at(UPLINK_V4, 8080)));
    connect(&outside, &at(UPLINK_V4, 9090), &pod, &at(&made.ip(false), 80)).unwrap();
}

#[test]
fn del_leaves_nothing_whatever_the_runtime_has_forgotten() {
    need!(Nft);
    let bare = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
    let forgotten: [(&str, Value); 6] = [
        ("nothing", several()),
        ("the mappings", bare.clone()),
        ("some mappings", portmap(&[tcp(8080, 80)])),
        ("the back end", with(several(), json!({"backend": "ipfw"}))),
        ("what a port is", portmap(&[json!({"hostPort": 0})])),
        ("the conditions", with(bare, json!({"conditionsV4": ["ip", "ttl"], "snat": false}))),
    ];
    for (what, conf) in forgotten {
        for (heard, netns) in [(true, true), (true, false), (false, true), (false, false)] {
            let node = Node::new();
            let network = bridged(&node);
            let (pod, other) = (node.pod(), node.pod());
            let neighbour = publish(&node, &other, &network, &portmap(&[tcp(1, 1)]));
            let base = node.attach(&network, &pod);
            let before = node.snapshot();
            let mut ports = super::map(&node, &pod, &base, &several());
            ports.conf = conf.clone();
            if !heard {
                ports.result = json!(null);
            }
            let call = node.del_call(&ports);
            let call = if netns { call } else { call.env("CNI_NETNS", "") };
            let output = call.run();
            assert!(output.succeeded(), "without {what}: {output}");
            let difference = before.difference(&node.snapshot());
            assert!(difference.is_empty(), "without {what}:\n{difference}");
            node.check(&neighbour.ports).ok();
        }
    }
}

#[test]
fn the_last_one_takes_the_table_and_a_flushed_ruleset_is_no_obstacle() {
    need!(Nft);
    for network in [bridged, routed] {
        let node = Node::new();
        let network = network(&node);
        let (one, two) = (node.pod(), node.pod());
        let first = publish(&node, &one, &network, &several());
        let second = publish(&node, &two, &network, &portmap(&[tcp(9090, 90)]));
        first.remove(&node);
        assert!(!of_ports(&node).is_empty());
        second.remove(&node);
        assert!(of_ports(&node).is_empty());
        // As `podman network reload` after somebody flushed everything.
        let made = publish(&node, &one, &network, &several());
        node.run(&["nft", "flush", "ruleset"]);
        node.del(&made.ports).ok();
        super::map(&node, &one, &made.base, &several());
        node.check(&made.ports).ok();
    }
}

#[test]
fn gc_removes_what_is_not_listed_and_no_more() {
    need!(Nft);
    let node = Node::new();
    let network = bridged(&node);
    let pods: Vec<_> = (0..4).map(|_| node.pod()).collect();
    let kept = publish(&node, &pods[0], &network, &portmap(&[tcp(1, 1)]));
    let foreign = {
        let other = with(portmap(&[tcp(2, 2)]), json!({"name": "net2"}));
        super::map(&node, &pods[1], &node.attach(&network, &pods[1]), &other)
    };
    let bases = [node.attach(&network, &pods[2]), node.attach(&network, &pods[3])];
    let before = of_ports(&node);
    super::map(&node, &pods[2], &bases[0], &several());
    let conditional = json!({"conditionsV4": ["ip saddr 10.9.0.0/16"], "masqAll": true});
    super::map(&node, &pods[3], &bases[1], &with(portmap(&[tcp(3, 3)]), conditional));
    node.gc(&several(), &[&kept.ports]).ok();
    assert_eq!(before, of_ports(&node));
    node.check(&kept.ports).ok();
    node.check(&foreign).ok();
    // Without the list nothing may go.
    node.call("portmap").verb("GC").conf(&several()).run().ok();
    assert_eq!(before, of_ports(&node));
    node.gc(&several(), &[]).ok();
    node.check(&foreign).ok();
    node.gc(&with(several(), json!({"name": "net2"})), &[]).ok();
    assert!(of_ports(&node).is_empty());
}

#[test]
fn check_names_what_was_changed() {
    need!(Nft);
    let table = ["inet", "podwire-ports"];
    let damages: &[(&[&str], &str)] = &[
        (&["delete", "element", "ports4", "{ tcp . 8080 }"], "tcp . 8080"),
        (&["delete", "element", "ports6", "{ udp . 8080 }"], "udp . 8080"),
        (
            &["delete", "element", "addresses4", "{ 127.0.0.1 . tcp . 8081 }"],
            "127.0.0.1 . tcp . 8081",
        ),
        (&["delete", "element", "specific4", "{ 127.0.0.1 . tcp . 8081 }"], "specific4"),
        (&["delete", "element", "pods4", "{ 10.1.0.2 }"], "10.1.0.2"),
        (&["flush", "chain", "prerouting"], "prerouting"),
        (&["flush", "chain", "output"], "output"),
        (&["insert", "rule", "prerouting", "accept"], "prerouting"),
        (&["flush", "map", "attachments"], "attachments"),
    ];
    for (damage, word) in damages {
        let node = Node::new();
        let pod = node.pod();
        let made = publish(&node, &pod, &bridged(&node), &several());
        node.check(&made.ports).ok();
        let (head, tail) = damage.split_at(2);
        node.run(&[&["nft"], head, &table, tail].concat());
        let error = node.check(&made.ports).fails();
        error.is(103, &[word]);
        // The next ADD mends it.
        super::map(&node, &pod, &made.base, &several());
        node.check(&made.ports).ok();
        made.remove(&node);
        assert!(of_ports(&node).is_empty(), "{damage:?}");
    }
    let node = Node::new();
    let made = publish(&node, &node.pod(), &bridged(&node), &several());
    node.set_sysctl("net/ipv4/conf/br0/route_localnet", "0");
    node.check(&made.ports).fails().is(103, &["route_localnet"]);
    node.run(&["nft", "delete", "table", "inet", "podwire-ports"]);
    node.check(&made.ports).fails().is(103, &["tcp . 8080", "prerouting"]);
}

#[test]
fn bad_input_is_named_and_leaves_nothing() {
    let node = Node::new();
    let pod = node.pod();
    let base = node.attach(&bridged(&node), &pod);
    let before = node.snapshot();
    let cases: Vec<(Value, &[&str])> = vec![
        (portmap(&[tcp(0, 80)]), &["portMappings[0].hostPort", "0"]),
        (
            portmap(&[tcp(1, 1), json!({"hostPort": 70000, "containerPort": 80})]),
            &["portMappings[1].hostPort", "70000"],
        ),
        (portmap(&[tcp(80, 0)]), &["containerPort", "0"]),
        (
            portmap(&[json!({"hostPort": 80, "containerPort": 80, "protocol": "icmp"})]),
            &["protocol", "icmp"],
        ),
        (portmap(&[with(tcp(80, 80), json!({"hostIP": "localhost"}))]), &["hostIP", "localhost"]),
        (portmap(&[tcp(80, 80), tcp(80, 81)]), &["80/tcp", "81"]),
        (with(several(), json!({"backend": "ebtables"})), &["backend", "ebtables"]),
        (with(several(), json!({"markMasqBit": 32})), &["markMasqBit", "32"]),
        (with(several(), json!({"snat": false, "masqAll": true})), &["masqAll", "snat"]),
        (
            with(several(), json!({"conditionsV4": ["-s", "10.0.0.1"], "backend": "nftables"})),
            &["conditionsV4", "10.0.0.1"],
        ),
        (
            with(several(), json!({"conditionsV4": ["-s", "10.0.0.1\n-F INPUT"]})),
            &["conditionsV4", "control"],
        ),
        (
            with(several(), json!({"conditionsV4": ["-s", "10.0.0.1\0"]})),
            &["conditionsV4", "control"],
        ),
        (
            with(several(), json!({"conditionsV6": ["ip6", "saddr", "10.0.0.1"]})),
            &["conditionsV6", "10.0.0.1"],
        ),
    ];
    for (conf, words) in cases {
        let conf = with(conf, json!({"prevResult": base.result}));
        node.add(&conf, &pod, "eth0").fails().is(7, words);
        before.assert_same(&node.snapshot());
    }
    for (key, value) in
        [("snat", json!("yes")), ("conditionsV4", json!("ip")), ("runtimeConfig", json!([]))]
    {
        let mut conf = with(several(), json!({"prevResult": base.result}));
        conf[key] = value;
        node.add(&conf, &pod, "eth0").fails().is(6, &[key]);
    }
    let conf = with(portmap(&[json!({"hostPort": "80"})]), json!({"prevResult": base.result}));
    node.add(&conf, &pod, "eth0").fails().is(6, &["hostPort"]);
    before.assert_same(&node.snapshot());
}
