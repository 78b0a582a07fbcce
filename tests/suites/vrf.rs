//! `vrf`: an interface in a routing table of its own, judged by `ip`.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, VERSIONS, need, ping};

use crate::chained::{self, Ground, conf, same};
use crate::conf::{DUAL, bridge, ptp, with};

fn red(_: &Node) -> Value {
    conf("vrf", json!({"vrfname": "red"}))
}

fn gateway(node: &Node) -> Value {
    with(bridge(node, DUAL), json!({"isDefaultGateway": true}))
}

fn table(pod: &Pod, vrf: &str) -> u64 {
    pod.link(vrf).expect("the VRF")["linkinfo"]["info_data"]["table"].as_u64().expect("a table")
}

/// Unicast routes to elsewhere in a table, by destination and gateway.
fn routes(pod: &Pod, family: &str, table: &str) -> Vec<String> {
    let text = |route: &Value| {
        let via = route["gateway"].as_str().map_or_else(String::new, |gw| format!(" via {gw}"));
        format!("{}{via}", route["dst"].as_str().unwrap())
    };
    let all = pod.routes(family, table);
    let unicast = all.iter().filter(|route| route["type"] == "unicast");
    let mut all: Vec<String> = unicast.map(text).collect();
    all.retain(|route| !route.starts_with("fe80") && !route.starts_with("ff00"));
    all.sort();
    all
}

#[test]
fn the_interface_is_routed_by_the_vrf_and_comes_back_whole() {
    need!(Vrf);
    for version in VERSIONS.iter().filter(|version| **version >= "0.3.1") {
        for first in [gateway, |node: &Node| ptp(node, DUAL)] {
            let ground = Ground::behind(|node| with(first(node), json!({"cniVersion": version})));
            let (node, pod) = (&ground.node, &ground.pod);
            let before = ground.state();
            let main = [routes(pod, "-4", "main"), routes(pod, "-6", "main")];
            let attached = ground.attach(&with(red(node), json!({"cniVersion": version})));
            assert_eq!(pod.link("eth0").unwrap()["master"], "red");
            let mut want = attached.addresses();
            want.sort();
            assert_eq!(pod.addresses("eth0"), want, "{version}");
            let number = table(pod, "red");
            assert_eq!(number, 1);
            let number = number.to_string();
            assert_eq!([routes(pod, "-4", &number), routes(pod, "-6", &number)], main, "{version}");
            assert_eq!(routes(pod, "-4", "main"), [""; 0]);
            assert_eq!(routes(pod, "-6", "main"), [""; 0]);
            assert!(attached.ips().iter().all(|ip| ping(node, ip)), "{version}");
            if *version >= "0.4.0" {
                node.check(&attached).ok();
                let own = Attachment { conf: ground.first.conf.clone(), ..attached.clone() };
                node.check(&own).ok();
                node.check(&ground.first).ok();
            }
            node.del(&attached).ok();
            assert!(pod.link("red").is_none());
            same(version, &before, &ground.state());
        }
    }
}

#[test]
fn interfaces_share_a_vrf_until_the_last_one_leaves() {
    need!(Vrf);
    let ground = Ground::behind(gateway);
    let (node, pod) = (&ground.node, &ground.pod);
    let more = json!({"name": "two", "bridge": "br2"});
    let second = node.attach_as(&with(bridge(node, &["10.2.0.0/24"]), more), pod, "net1");
    let one = ground.attach(&red(node));
    let conf = with(red(node), json!({"name": "two", "prevResult": second.result}));
    let two = node.attach_as(&conf, pod, "net1");
    let number = table(pod, "red");
    assert!(routes(pod, "-4", &number.to_string()).contains(&"10.2.0.0/24".to_owned()));
    node.del(&one).ok();
    assert_eq!(table(pod, "red"), number);
    node.check(&two).ok();
    node.del(&two).ok();
    assert!(pod.link("red").is_none());
}

#[test]
fn a_free_table_is_one_that_nobody_uses() {
    need!(Vrf);
    let ground = Ground::behind(gateway);
    let (node, pod) = (&ground.node, &ground.pod);
    pod.run(&["ip", "link", "add", "blue", "type", "vrf", "table", "1"]);
    pod.run(&["ip", "rule", "add", "from", "192.0.2.1", "lookup", "2"]);
    pod.run(&["ip", "-6", "route", "add", "blackhole", "2001:db8::/32", "table", "3"]);
    let rule = |table: u32| {
        format!(
            "rule add to 192.0.2.1 lookup {table}
"
        )
    };
    pod.batch(&(4..253).map(rule).collect::<String>());
    let attached = ground.attach(&red(node));
    assert_eq!(table(pod, "red"), 256);
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert!(pod.link("blue").is_some());
}

#[test]
fn a_table_that_is_asked_for_is_taken() {
    need!(Vrf);
    let ground = Ground::behind(gateway);
    let (node, pod) = (&ground.node, &ground.pod);
    let attached = ground.attach(&with(red(node), json!({"table": 1000})));
    assert_eq!(table(pod, "red"), 1000);
    let told = attached.result["routes"].as_array().unwrap();
    assert!(told.iter().all(|route| route["table"] == 1000), "{told:?}");
    node.check(&attached).ok();
    let other = Attachment { conf: with(red(node), json!({"table": 1001})), ..attached.clone() };
    node.check(&other).fails().is(103, &["1000", "1001"]);
}

#[test]
fn what_stands_in_the_way_is_named() {
    need!(Vrf);
    let ground = Ground::behind(gateway);
    let (node, pod) = (&ground.node, &ground.pod);
    pod.run(&["ip", "link", "add", "blue", "type", "vrf", "table", "1000"]);
    pod.run(&["ip", "link", "add", "plain", "type", "bridge"]);
    let before = ground.state();
    let add = |more: Value| node.add(&with(ground.with_result(&red(node)), more), pod, "eth0");
    add(json!({"table": 1000})).fails().is(101, &["table", "1000", "blue"]);
    add(json!({"vrfname": "blue", "table": 7})).fails().is(101, &["blue", "1000", "7"]);
    add(json!({"vrfname": "plain"})).fails().is(101, &["plain"]);
    same("refusals", &before, &ground.state());
    pod.run(&["ip", "link", "set", "eth0", "master", "plain"]);
    add(json!({})).fails().is(101, &["eth0", "plain"]);
    assert!(pod.link("red").is_none());
}

#[test]
fn check_names_what_differs() {
    need!(Vrf);
    for (damage, word) in [
        ("ip link set eth0 nomaster", "VRF"),
        ("ip link set red down", "down"),
        ("ip route del default vrf red", "0.0.0.0/0"),
        ("ip link del eth0", "missing"),
    ] {
        let ground = Ground::behind(gateway);
        let attached = ground.attach(&red(&ground.node));
        ground.node.check(&attached).ok();
        ground.pod.run(&damage.split(' ').collect::<Vec<_>>());
        ground.node.check(&attached).fails().is(103, &[word]);
    }
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    need!(Vrf);
    chained::refused(
        red,
        &[
            (json!({"vrfname": ""}), 7, &["vrfname"]),
            (json!({"vrfname": null}), 7, &["vrfname"]),
            (json!({"vrfname": "a/b"}), 7, &["vrfname", "a/b"]),
            (json!({"vrfname": "sixteen-letters-"}), 7, &["vrfname", "sixteen-letters-"]),
            (json!({"vrfname": 5}), 6, &["vrfname"]),
            (json!({"table": -1}), 7, &["table", "-1"]),
            (json!({"table": 254}), 7, &["table", "254"]),
            (json!({"table": 4_294_967_296_u64}), 7, &["table", "4294967296"]),
            (json!({"table": "red"}), 6, &["table"]),
        ],
    );
}

#[test]
fn an_interface_that_is_gone_is_no_error() {
    need!(Vrf);
    let ground = Ground::behind(gateway);
    let attached = ground.attach(&red(&ground.node));
    ground.pod.run(&["ip", "link", "del", "eth0"]);
    ground.node.del(&attached).ok();
    assert!(ground.pod.link("red").is_none());
}

#[test]
fn status_says_whether_the_kernel_can() {
    let node = Node::new();
    node.status(&conf("vrf", json!({}))).fails().is(7, &["vrfname"]);
    if testkit::Feature::Vrf.missing().is_some() {
        node.status(&red(&node)).fails().is(50, &["VRF"]);
        let ground = Ground::new();
        let before = ground.state();
        let output = ground.node.add(&ground.with_result(&red(&ground.node)), &ground.pod, "eth0");
        output.fails().is(100, &["VRF", "red"]);
        same("a refusal", &before, &ground.state());
    } else {
        node.status(&red(&node)).ok();
    }
}

#[test]
fn del_leaves_nothing_whatever_happened() {
    need!(Vrf);
    let broken = [
        json!({"vrfname": ""}),
        json!({"vrfname": 5}),
        json!({"table": -1}),
        json!({"prevResult": 7}),
    ];
    chained::teardown(red, &broken);
}

#[test]
fn gc_has_nothing_to_remove() {
    need!(Vrf);
    chained::collects(red);
}

mod faults {
    #[test]
    fn each_verb_at_every_point() {
        // A few hundred calls, in the only machine whose kernel has VRFs.
        testkit::need!(Vrf);
        crate::chained::adds(super::red);
        crate::chained::dels(super::red);
        crate::chained::checks(super::red);
        crate::chained::collections(super::red);
    }
}
