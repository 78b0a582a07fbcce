//! What is refused, and leaves nothing.

use serde_json::json;
use testkit::{Node, Pod};

use super::life::records;
use crate::conf::{DUAL, single, with};

pub fn no_link_is_left_when_the_ipam_fails(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, kind, DUAL);
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    let ipams = [
        json!({"type": "nowhere"}),
        json!({"type": "host-local", "dataDir": node.leases(), "ranges": []}),
        json!({"type": "static", "addresses": []}),
    ];
    for ipam in ipams {
        let conf = with(conf.clone(), json!({"ipam": ipam}));
        node.add(&conf, &pod, "eth0").fails();
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
        assert_eq!(records(&node), [""; 0]);
    }
}

pub fn an_add_that_fails_late_undoes_itself(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = single(&node, kind, DUAL);
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    conf["ipam"]["routes"] = json!([{"dst": "10.9.0.0/16", "gw": "10.77.0.1"}]);
    let error = node.add(&conf, &pod, "eth0").fails();
    assert!(error.text().contains("10.9.0.0/16"), "{error}");
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
}

pub fn an_interface_that_exists_is_not_touched(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, kind, DUAL);
    node.del(&node.attach(&conf, &pod)).ok();
    pod.run(&["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other"]);
    let before = (node.snapshot(), pod.ip(&["addr"]));
    node.add(&conf, &pod, "eth0").fails().is(101, &["eth0"]);
    node.add(&conf, &pod, "lo").fails().is(101, &["lo"]);
    before.0.assert_same(&node.snapshot());
    assert_eq!(before.1, pod.ip(&["addr"]));
}

pub fn options_out_of_their_range_are_named(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, kind, DUAL);
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    let mut cases = vec![
        (json!({"mtu": -1}), 7, vec!["mtu", "-1"]),
        (json!({"mtu": 67}), 7, vec!["mtu", "67"]),
        (json!({"mtu": 70000}), 7, vec!["mtu", "70000"]),
        (json!({"mtu": 1000}), 7, vec!["mtu", "1000", "1280"]),
        (json!({"mtu": "big"}), 6, vec!["mtu"]),
        (json!({"stateDir": "links"}), 7, vec!["stateDir", "links"]),
        (json!({"dns": []}), 6, vec!["dns"]),
        (json!({"ipam": []}), 6, vec!["ipam"]),
        (json!({"ipam": {"type": "../host-local"}}), 7, vec!["ipam", "../host-local"]),
    ];
    if node.link("m0").is_some() {
        cases.extend([
            (json!({"mtu": 1501}), 7, vec!["mtu", "1501", "m0", "1500"]),
            (json!({"master": "gone0"}), 7, vec!["master", "gone0"]),
            (json!({"master": "sixteen-letters-"}), 7, vec!["master", "sixteen-letters-"]),
            (json!({"master": "a/b"}), 7, vec!["master", "a/b"]),
            (json!({"master": 7}), 6, vec!["master"]),
            (json!({"master": null}), 7, vec!["master"]),
            (json!({"linkInContainer": 1}), 6, vec!["linkInContainer"]),
            (json!({"linkInContainer": true}), 7, vec!["master", "m0", "container"]),
        ]);
    }
    if kind != "ipvlan" {
        cases.extend([
            (json!({"mac": "02:00:00:00:00"}), 7, vec!["mac", "02:00:00:00:00"]),
            (json!({"mac": "03:00:00:00:00:01"}), 7, vec!["mac", "03:00:00:00:00:01", "multicast"]),
            (json!({"mac": "00:00:00:00:00:00"}), 7, vec!["mac", "zero"]),
            (json!({"runtimeConfig": {"mac": "x"}}), 7, vec!["runtimeConfig.mac", "x"]),
        ]);
    }
    cases.extend(match kind {
        "macvlan" => vec![
            (json!({"mode": "source"}), 7, vec!["mode", "source", "bridge"]),
            (json!({"mode": "l2"}), 7, vec!["mode", "l2", "passthru"]),
            (json!({"mode": 1}), 6, vec!["mode"]),
            (json!({"bcqueuelen": -1}), 7, vec!["bcqueuelen", "-1"]),
            (json!({"bcqueuelen": 4_294_967_296_u64}), 7, vec!["bcqueuelen", "4294967296"]),
        ],
        "ipvlan" => vec![
            (json!({"mode": "l4"}), 7, vec!["mode", "l4", "l3s"]),
            (json!({"mode": []}), 6, vec!["mode"]),
        ],
        "vlan" => vec![
            (json!({"vlanId": 4095}), 7, vec!["vlanId", "4095"]),
            (json!({"vlanId": -1}), 7, vec!["vlanId", "-1"]),
            (json!({"vlanId": 70000}), 7, vec!["vlanId", "70000"]),
            (json!({"vlanId": "5"}), 6, vec!["vlanId"]),
        ],
        "tap" => vec![
            (json!({"owner": -1}), 7, vec!["owner", "-1"]),
            (json!({"group": "staff"}), 6, vec!["group"]),
            (json!({"owner": 4_294_967_295_u32}), 7, vec!["owner", "4294967295"]),
            (json!({"group": 4_294_967_295_u32}), 7, vec!["group", "4294967295"]),
            (json!({"mtu": 65522}), 7, vec!["mtu", "65522", "65521"]),
            (json!({"multiQueue": 1}), 6, vec!["multiQueue"]),
            (json!({"bridge": "gone0"}), 7, vec!["bridge", "gone0"]),
            (json!({"bridge": "lo"}), 7, vec!["bridge", "lo", "no bridge"]),
            (json!({"bridge": "a/b"}), 7, vec!["bridge", "a/b"]),
            (json!({"selinuxContext": "x"}), 7, vec!["selinuxContext", "SELinux"]),
        ],
        _ => vec![],
    });
    for (change, code, words) in cases {
        let output = node.add(&with(conf.clone(), change.clone()), &pod, "eth0");
        output.fails().is(code, &words);
        let difference = before.difference(&node.snapshot());
        assert!(difference.is_empty(), "{change} left\n{difference}");
        assert_eq!(pod.links(), ["lo"], "{change}");
        assert_eq!(records(&node), [""; 0], "{change}");
    }
}

pub fn a_state_directory_that_cannot_be_holds_up_no_del(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, kind, DUAL);
    let file = node.directory().join("file");
    std::fs::write(&file, "").unwrap();
    for directory in [file.join("links"), "/proc/links".into()] {
        let conf = with(conf.clone(), json!({"stateDir": directory}));
        let error = node.add(&conf, &pod, "eth0").fails();
        error.is(5, &["stateDir", directory.to_str().unwrap()]);
        assert!(!error.text().contains("taken back"), "{error}");
        assert_eq!(pod.links(), ["lo"]);
        node.del(&node.unheard(&conf, &pod)).ok();
    }
}

pub fn a_link_without_addresses_has_no_result_in_the_oldest_versions(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, kind, DUAL), json!({"ipam": {}}));
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    for version in ["0.1.0", "0.2.0"] {
        let conf = with(conf.clone(), json!({"cniVersion": version}));
        node.add(&conf, &pod, "eth0").fails();
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
    }
}
