//! CHECK names every difference.

use serde_json::json;
use testkit::{Node, Pod};

use crate::conf::{DUAL, single, with};

pub fn check_names_what_is_gone(kind: &str) {
    let damages: &[(&[&str], &str)] = &[
        (&["ip", "addr", "del", "10.1.0.2/24", "dev", "eth0"], "10.1.0.2"),
        (&["ip", "addr", "del", "fd00:1::2/64", "dev", "eth0"], "fd00:1::2"),
        (&["ip", "route", "del", "default"], "0.0.0.0/0"),
        (&["ip", "link", "set", "eth0", "mtu", "1299"], "1299"),
        (&["ip", "link", "set", "eth0", "down"], "down"),
        (&["ip", "link", "del", "eth0"], "eth0"),
    ];
    for (damage, word) in damages {
        let (node, pod) = (Node::new(), Pod::new());
        let conf = with(single(&node, kind, DUAL), json!({"mtu": 1300}));
        let attached = node.attach(&conf, &pod);
        node.check(&attached).ok();
        pod.run(damage);
        node.check(&attached).fails().is(103, &[word]);
    }
    if kind == "ipvlan" {
        return;
    }
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&single(&node, kind, DUAL), &pod);
    pod.run(&["ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"]);
    node.check(&attached).fails().is(103, &["02:00:00:00:00:99"]);
}

pub fn check_names_a_link_of_another_kind(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&single(&node, kind, DUAL), &pod);
    pod.run(&["ip", "link", "del", "eth0"]);
    pod.run(&["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x"]);
    node.check(&attached).fails().is(103, &["veth", super::life::word(kind)]);
    // And a DEL leaves what is not the attachment's.
    node.del(&attached).ok();
    assert!(pod.link("eth0").is_some());
    assert_eq!(node.leased("net"), [""; 0]);
}
