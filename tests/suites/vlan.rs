//! `vlan`: the frames of one VLAN of the parent, judged by `ip` and traffic.

use serde_json::{Value, json};
use testkit::{Netns, Node, Pod, need, ping, silent};

use crate::conf::{DUAL, single, with};

/// A node whose `m0` leads to another machine, which has VLAN 7.
fn trunk() -> (Node, Netns, Value) {
    let node = Node::new();
    let conf = single(&node, "vlan", DUAL);
    let other = Netns::new();
    node.move_link("m1", &other);
    other.batch(
        "link set m1 up\nlink add link m1 name m1.7 type vlan id 7\nlink set m1.7 up\n\
         addr add 10.1.0.1/24 dev m1.7\naddr add fd00:1::1/64 dev m1.7 nodad\n",
    );
    (node, other, conf)
}

#[test]
fn the_container_reaches_its_vlan_and_no_other() {
    need!(Vlan);
    let (node, other, conf) = trunk();
    let (pod, stranger) = (node.pod(), node.pod());
    let attached = node.attach(&conf, &pod);
    let device = pod.link("eth0").unwrap()["linkinfo"]["info_data"].clone();
    assert_eq!((&device["id"], &device["protocol"]), (&json!(7), &json!("802.1Q")));
    assert!(ping(&pod, "10.1.0.1") && ping(&pod, "fd00:1::1"));
    assert!(attached.ips().iter().all(|ip| ping(&other, ip)));
    let elsewhere = with(conf, json!({"vlanId": 8}));
    node.attach(&elsewhere, &stranger);
    assert!(silent(&stranger, "10.1.0.1"));
    let mut changed = attached;
    changed.conf["vlanId"] = json!(9);
    node.check(&changed).fails().is(103, &["VLAN", "7", "9"]);
}

#[test]
fn a_vlan_that_another_container_has_is_named() {
    need!(Vlan);
    let (node, _other, conf) = trunk();
    let (pod, second) = (node.pod(), node.pod());
    let attached = node.attach(&conf, &pod);
    node.add(&conf, &second, "eth0").fails().is(101, &["vlanId 7", "m0"]);
    assert_eq!(second.links(), ["lo"]);
    node.check(&attached).ok();
    for id in [0, 4094] {
        let conf = with(conf.clone(), json!({"vlanId": id}));
        let attached = node.attach(&conf, &second);
        node.check(&attached).ok();
        node.del(&attached).ok();
    }
}

#[test]
fn the_hardware_address_and_the_mtu_are_as_asked() {
    need!(Vlan);
    let (node, _other, conf) = trunk();
    let pod = node.pod();
    let conf = with(conf, json!({"mac": "02:00:00:00:00:05", "mtu": 1400}));
    let attached = node.attach(&conf, &pod);
    let link = pod.link("eth0").unwrap();
    assert_eq!((&link["address"], &link["mtu"]), (&json!("02:00:00:00:00:05"), &json!(1400)));
    assert!(ping(&pod, "10.1.0.1"));
    node.check(&attached).ok();
}

#[test]
fn a_parent_that_is_down_is_named() {
    need!(Vlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, "vlan", DUAL);
    node.run(&["ip", "link", "set", "m0", "down"]);
    node.add(&conf, &pod, "eth0").fails().is(11, &["m0", "down"]);
    node.status(&conf).fails().is(50, &["m0", "down"]);
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn the_parent_may_be_in_the_container() {
    need!(Vlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, "vlan", DUAL), json!({"linkInContainer": true}));
    node.run(&["ip", "link", "del", "m0"]);
    pod.batch("link add m0 type veth peer name m1\nlink set m0 up\nlink set m1 up\n");
    node.status(&conf).ok();
    let attached = node.attach(&conf, &pod);
    assert_eq!(pod.link("eth0").unwrap()["link"], "m0");
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo", "m1", "m0"]);
}
