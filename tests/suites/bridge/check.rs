//! CHECK: silent on what ADD made, and loud on each thing that is gone.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, need};

use crate::conf::{DUAL, bridge, with};

/// What is broken, how, and what the error must name.
type Damage = (&'static str, fn(&Node, &Pod, &Attachment), &'static [&'static str]);

const DAMAGES: &[Damage] = &[
    (
        "the address",
        |_, pod, _| drop(pod.run(&["ip", "addr", "del", "10.1.0.2/24", "dev", "eth0"])),
        &["10.1.0.2"],
    ),
    (
        "the IPv6 address",
        |_, pod, _| drop(pod.run(&["ip", "addr", "del", "fd00:1::2/64", "dev", "eth0"])),
        &["fd00:1::2"],
    ),
    (
        "the prefix",
        |_, pod, _| {
            pod.run(&["ip", "addr", "del", "10.1.0.2/24", "dev", "eth0"]);
            pod.run(&["ip", "addr", "add", "10.1.0.2/25", "dev", "eth0"]);
        },
        &["10.1.0.2"],
    ),
    (
        "the default route",
        |_, pod, _| drop(pod.run(&["ip", "route", "del", "default"])),
        &["0.0.0.0/0"],
    ),
    (
        "the route",
        |_, pod, _| drop(pod.run(&["ip", "route", "del", "10.9.0.0/16"])),
        &["10.9.0.0/16"],
    ),
    ("the link", |_, pod, _| drop(pod.run(&["ip", "link", "del", "eth0"])), &["eth0"]),
    (
        "the port",
        |node, _, a| drop(node.run(&["ip", "link", "set", &a.host_link(), "nomaster"])),
        &["br0"],
    ),
    ("the bridge", |node, _, _| drop(node.run(&["ip", "link", "del", "br0"])), &["br0"]),
    (
        "the MAC",
        |_, pod, _| {
            pod.run(&["ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"]);
        },
        &["02:00:00:00:00:99"],
    ),
    (
        "the lease",
        |node, _, _| {
            std::fs::remove_file(format!("{}/net/10.1.0.2", node.leases())).unwrap();
        },
        &["10.1.0.2"],
    ),
    (
        "the lease's owner",
        |node, _, _| {
            std::fs::write(format!("{}/net/10.1.0.2", node.leases()), "somebody\r\neth0").unwrap();
        },
        &["10.1.0.2"],
    ),
    (
        "hairpin",
        |node, _, a| {
            node.run(&["bridge", "link", "set", "dev", &a.host_link(), "hairpin", "off"]);
        },
        &["hairpin"],
    ),
    (
        "isolation",
        |node, _, a| {
            node.run(&["bridge", "link", "set", "dev", &a.host_link(), "isolated", "off"]);
        },
        &["isolated"],
    ),
];

#[test]
fn each_damage_is_named() {
    for (what, damage, words) in DAMAGES {
        let (node, pod) = (Node::new(), Pod::new());
        let more = json!({"isDefaultGateway": true, "hairpinMode": true, "portIsolation": true});
        let mut conf = with(bridge(&node, DUAL), more);
        conf["ipam"]["routes"] = json!([{"dst": "10.9.0.0/16"}]);
        let attached = node.attach(&conf, &pod);
        node.check(&attached).ok();
        damage(&node, &pod, &attached);
        let output = node.check(&attached);
        assert!(!output.succeeded(), "{what} is gone, and CHECK does not see it");
        let error = output.fails();
        let text = error.text();
        for word in *words {
            assert!(text.contains(word), "{what} is gone: {word} is not named in {error}");
        }
    }
}

#[test]
fn lost_rules_are_noticed() {
    need!(Nft);
    let (node, pod) = (Node::new(), Pod::new());
    for more in [json!({"ipMasq": true}), json!({"macspoofchk": true})] {
        let attached = node.attach(&with(bridge(&node, DUAL), more.clone()), &pod);
        node.check(&attached).ok();
        node.run(&["nft", "flush", "ruleset"]);
        assert!(!node.check(&attached).succeeded(), "{more}");
        node.del(&attached).ok();
    }
}

#[test]
fn what_later_plugins_do_is_none_of_its_business() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(bridge(&node, DUAL), json!({"isDefaultGateway": true}));
    let mut attached = node.attach(&conf, &pod);
    pod.run(&["ip", "addr", "add", "10.77.0.1/24", "dev", "eth0"]);
    pod.run(&["ip", "route", "add", "10.78.0.0/16", "via", "10.1.0.1"]);
    pod.run(&["ip", "link", "set", "eth0", "txqueuelen", "500"]);
    node.check(&attached).ok();
    // `tuning` has changed the MAC and said so in the final result.
    pod.run(&["ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"]);
    attached.result["interfaces"][2]["mac"] = json!("02:00:00:00:00:99");
    node.check(&attached).ok();
}

#[test]
fn a_result_that_names_another_address_does_not_pass() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut attached = node.attach(&bridge(&node, DUAL), &pod);
    attached.result["ips"][0]["address"] = json!("10.1.0.77/24");
    let output = node.check(&attached);
    assert!(!output.succeeded());
    let error = output.fails();
    assert!(error.msg.contains("10.1.0.77") || error.details.contains("10.1.0.77"), "{error}");
}

#[test]
fn check_changes_nothing() {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&with(bridge(&node, DUAL), json!({"ipMasq": true})), &pod);
    let before = (node.snapshot(), pod.ip(&["addr"]));
    assert_eq!(node.check(&attached).ok(), Value::Null);
    before.0.assert_same(&node.snapshot());
    assert_eq!(before.1, pod.ip(&["addr"]));
}
