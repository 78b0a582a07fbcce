//! STATUS, GC, DEL and CHECK, as far as they are about more than the container.

use std::fs;

use serde_json::{Value, json};
use testkit::{Node, Pods, Underlay, VERSIONS};

use super::each_mode;
use super::ground::{Cluster, Mode};
use crate::conf::with;

each_mode! {
    status_tells_whether_an_add_could_be_served,
    collection_follows_the_peer_file,
    del_leaves_what_other_containers_share,
    del_does_without_whatever_is_missing,
    check_tells_of_the_container_and_the_node_at_once,
    every_version_is_spoken,
    container_options_are_those_of_the_bridge,
}

fn empty(mode: Mode) -> Cluster {
    Cluster::empty(mode, Underlay::Segment, mode.pods(), json!({}))
}

fn status_tells_whether_an_add_could_be_served(mode: Mode) {
    let cluster = empty(mode);
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    let path = cluster.fleet.roster.path(node);
    let good = cluster.fleet.roster.file(1);
    assert_eq!(node.status(&conf).ok(), Value::Null);
    let without = |key: &str| {
        let mut file = good.clone();
        file.as_object_mut().unwrap().remove(key);
        file.to_string()
    };
    let shown = path.to_str().unwrap();
    for (text, words) in [
        (String::new(), &[shown][..]),
        ("{\"version\": 1, \"loc".to_owned(), &[shown]),
        (without("local"), &["local"]),
        (without("version"), &["version"]),
        (without("clusterCIDRs"), &["clusterCIDRs"]),
        (good.to_string().replace("192.168.2.1\"", "192.168.2.111\""), &["192.168.2.111"]),
    ] {
        cluster.fleet.roster.write_text(node, &text);
        node.status(&conf).fails().is(50, words);
    }
    fs::remove_file(&path).unwrap();
    node.status(&conf).fails().is(50, &[shown]);
    cluster.fleet.write(1);
    let elsewhere = with(conf.clone(), json!({"iface": "nowhere0"}));
    node.status(&elsewhere).fails().is(50, &["nowhere0"]);
    // What is wrong with a single peer keeps nobody from being served.
    let mut file = good.clone();
    file["peers"][0]["podCIDRs"] = json!(["somewhere"]);
    cluster.fleet.roster.write_text(node, &file.to_string());
    assert_eq!(node.status(&conf).ok(), Value::Null);
    node.run(&["ip", "link", "set", "eth0", "name", "gone0"]);
    drop(node.run(&["ip", "addr", "flush", "dev", "gone0"]));
    node.status(&conf).fails().is(50, &["192.168.2.1"]);
}

#[test]
fn a_kernel_without_ipip_is_named() {
    if testkit::Feature::Ipip.missing().is_none() {
        testkit::not_run("the kernel has IPIP");
        return;
    }
    let cluster = empty(Mode::Ipip);
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    for conf in [conf.clone(), with(conf, json!({"device": "own.1"}))] {
        node.status(&conf).fails().is(50, &["IPIP"]);
        let (pod, before) = (node.pod(), node.snapshot());
        let error = node.add(&conf, &pod, "eth0").fails();
        assert!(error.text().contains("IPIP"), "{error}");
        assert_eq!(pod.links(), ["lo"]);
        node.del(&node.unheard(&conf, &pod)).ok();
        let after = node.snapshot();
        for section in ["links", "addresses", "routes"] {
            assert_eq!(before.section(section), after.section(section));
        }
    }
}

fn collection_follows_the_peer_file(mode: Mode) {
    let mut cluster = Cluster::new(mode);
    let conf = cluster.conf(1);
    let second = cluster.fleet.attach(&conf, 1);
    cluster.fleet.roster.entries[2] = Value::Null;
    cluster.fleet.write(1);
    let node = cluster.node(1);
    node.gc(&conf, &[cluster.attachment(1)]).ok();
    cluster.holds(1);
    cluster.check(1).ok();
    assert_eq!(second.0.links(), ["lo"]);
    assert_eq!(node.leased("pods").len(), cluster.attachment(1).ips().len());
    // Without a peer file the containers' part is done all the same.
    let third = cluster.fleet.attach(&conf, 1);
    fs::remove_file(cluster.fleet.roster.path(node)).unwrap();
    node.gc(&conf, &[cluster.attachment(1)]);
    assert_eq!(third.0.links(), ["lo"]);
    cluster.holds(1);
    cluster.talk(1, 2);
}

fn del_leaves_what_other_containers_share(mode: Mode) {
    let cluster = Cluster::of(mode, Underlay::Segment, mode.pods(), json!({"ipMasq": true}));
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    let before = node.snapshot();
    let (pod, attached) = cluster.fleet.attach(&conf, 1);
    node.del(&attached).ok();
    node.del(&attached).ok();
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
    node.del(cluster.attachment(1)).ok();
    // The last pod's DEL, too.
    cluster.holds(1);
    assert_eq!(node.leased("pods"), [""; 0]);
}

fn del_does_without_whatever_is_missing(mode: Mode) {
    let cluster = Cluster::of(mode, Underlay::Segment, mode.pods(), json!({"ipMasq": true}));
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    let before = node.snapshot();
    let changes = [
        json!({"peersFile": "/nowhere/peers.json"}),
        json!({"peersFile": null}),
        json!({"stateDir": "/proc/nowhere"}),
        json!({"iface": "nowhere0"}),
        json!({"mtu": 99_999_999}),
        json!({"vni": 0, "port": 70_000, "device": "a-name-of-seventeen"}),
        json!({"protocol": 2}),
        json!({"local": {}, "peers": [{}], "clusterCIDRs": []}),
        json!({"ipMasq": false}),
        json!({"ipam": {"type": 5, "dataDir": node.leases()}}),
    ];
    for change in &changes {
        let (pod, mut attached) = cluster.fleet.attach(&conf, 1);
        attached.conf = with(conf.clone(), change.clone());
        let output = node.del(&attached);
        assert!(output.succeeded(), "{change}: {output}");
        assert_eq!(pod.links(), ["lo"], "{change}");
        let difference = before.difference(&node.snapshot());
        assert!(difference.is_empty(), "{change} left\n{difference}");
    }
    for attach in ["bridge", "ptp"] {
        let conf = with(conf.clone(), json!({"attach": attach}));
        let (_pod, attached) = cluster.fleet.attach(&conf, 1);
        node.del_call(&attached).env("CNI_NETNS", "").run().ok();
        let (mut pod, attached) = cluster.fleet.attach(&conf, 1);
        pod.remove();
        node.del(&attached).ok();
        node.settles_to(&before);
        let (_pod, mut attached) = cluster.fleet.attach(&conf, 1);
        attached.result = Value::Null;
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
    }
    let (_pod, attached) = cluster.fleet.attach(&conf, 1);
    let path = cluster.fleet.roster.path(node);
    let text = fs::read(&path).unwrap();
    for bad in ["", "{"] {
        fs::write(&path, bad).unwrap();
        node.del(&attached).ok();
    }
    fs::write(&path, text).unwrap();
    before.assert_same(&node.snapshot());
    cluster.check(1).ok();
    cluster.talk(1, 2);
}

fn check_tells_of_the_container_and_the_node_at_once(mode: Mode) {
    let cluster = Cluster::new(mode);
    cluster.node(1).run(&["ip", "route", "del", "10.244.2.0/24", "proto", "112"]);
    cluster.node(1).run(&["ip", "route", "del", "10.244.3.0/24", "proto", "112"]);
    let error = cluster.check(1).fails();
    error.is(103, &["10.244.2.0/24", "10.244.3.0/24"]);
    // The container's own faults are not hidden by the node's.
    cluster.pod(1).run(&["ip", "addr", "flush", "dev", "eth0", "scope", "global"]);
    let error = cluster.check(1).fails();
    assert!(error.text().contains(&cluster.attachment(1).ip()), "{error}");
}

fn every_version_is_spoken(mode: Mode) {
    let cluster = Cluster::empty(mode, Underlay::Segment, Pods::V4, json!({}));
    let node = cluster.node(1);
    for version in VERSIONS {
        let conf = with(cluster.conf(1), json!({"cniVersion": version}));
        let (pod, attached) = cluster.fleet.attach(&conf, 1);
        assert!(attached.ip().starts_with("10.244.1."));
        if *version >= "0.4.0" {
            node.check(&attached).ok();
        }
        node.del(&attached).ok();
        assert_eq!(pod.links(), ["lo"]);
    }
    cluster.holds(1);
}

fn container_options_are_those_of_the_bridge(mode: Mode) {
    let more = json!({
        "bridge": "pods0", "hairpinMode": true, "macspoofchk": true,
        "runtimeConfig": {"mac": "02:00:00:00:00:05", "ips": ["10.244.1.77"]},
    });
    let cluster = Cluster::empty(mode, Underlay::Segment, Pods::V4, more);
    let node: &Node = cluster.node(1);
    let (pod, attached) = cluster.fleet.attach(&cluster.conf(1), 1);
    assert_eq!(attached.ip(), "10.244.1.77");
    assert_eq!(pod.link("eth0").unwrap()["address"], "02:00:00:00:00:05");
    let port = node.link(&attached.host_link()).unwrap();
    assert_eq!(port["master"], "pods0");
    assert_eq!(port["linkinfo"]["info_slave_data"]["hairpin"], true);
    assert_eq!(node.link("cni0"), None);
    assert_eq!(node.addresses("pods0"), ["10.244.1.1/24"]);
    let default = pod.ip(&["route", "show", "default"]);
    assert_eq!(default[0]["gateway"], "10.244.1.1");
    node.check(&attached).ok();
    node.del(&attached).ok();
    // Ranges that are given are used: here a part of the node's own.
    let mut conf = cluster.conf(1);
    conf.as_object_mut().unwrap().remove("runtimeConfig");
    conf["ipam"]["ranges"] = json!([[{"subnet": "10.244.1.0/24", "rangeStart": "10.244.1.100"}]]);
    let (_pod, attached) = cluster.fleet.attach(&conf, 1);
    assert_eq!(attached.ip(), "10.244.1.100");
}
