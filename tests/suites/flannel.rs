//! `flannel`: what it makes of subnet.env, and what it remembers, judged by `ip`, traffic and the
//! reference's own plugin where it is installed.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, VERSIONS, ping};

use crate::conf::with;

/// As flannel's daemon writes it.
const ENV: &str = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
    FLANNEL_IPV6_NETWORK=fd00:244::/48\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

fn env_file(node: &Node) -> PathBuf {
    node.directory().join("subnet.env")
}

fn scratch(node: &Node) -> Vec<String> {
    let Ok(entries) = fs::read_dir(node.directory().join("flannel")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The network of flannel's manifest, with files of this node, before the daemon has written its.
fn bare(node: &Node) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "cbr0", "type": "flannel",
        "subnetFile": env_file(node), "dataDir": node.directory().join("flannel"),
        "ipam": {"dataDir": node.leases()},
        "delegate": {"hairpinMode": true, "isDefaultGateway": true, "bridge": "cni0"},
    })
}

pub fn network(node: &Node) -> Value {
    fs::write(env_file(node), ENV).unwrap();
    bare(node)
}

fn attached() -> (Node, Pod, Attachment) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = network(&node);
    let attached = node.attach(&conf, &pod);
    (node, pod, attached)
}

#[test]
fn a_pod_gets_what_the_daemon_says() {
    let (node, pod, attached) = attached();
    assert_eq!(attached.addresses(), ["10.244.1.2/24", "fd00:244:0:1::2/64"]);
    assert_eq!(pod.link("eth0").unwrap()["mtu"], 1450);
    assert_eq!(pod.ip(&["route", "show", "10.244.0.0/16"])[0]["gateway"], "10.244.1.1");
    assert_eq!(pod.ip(&["-6", "route", "show", "fd00:244::/48"])[0]["gateway"], "fd00:244:0:1::1");
    assert_eq!(pod.ip(&["route", "show", "default"])[0]["gateway"], "10.244.1.1");
    let port = node.link(&attached.host_link()).unwrap();
    assert_eq!(port["linkinfo"]["info_slave_data"]["hairpin"], true);
    // The daemon masquerades already.
    assert_eq!(node.snapshot().section("nft"), [""; 0]);
    for ip in attached.ips() {
        assert!(ping(&node, &ip), "{ip}");
    }
    let other = node.pod();
    let conf = network(&node);
    let theirs = node.attach(&conf, &other);
    assert!(ping(&other, &attached.ip()));
    node.check(&theirs).ok();
}

#[test]
fn every_version_is_served_from_add_to_del() {
    for version in VERSIONS.iter().filter(|version| **version >= "0.2.0") {
        let (node, pod) = (Node::new(), Pod::new());
        let conf = with(network(&node), json!({"cniVersion": version}));
        let output = node.add(&conf, &pod, "eth0");
        assert_eq!(output.stderr, "", "{version}");
        let attached = node.attached(&conf, &pod, "eth0", &output);
        if *version >= "0.4.0" {
            node.check(&attached).ok();
        }
        if *version >= "1.1.0" {
            node.status(&conf).ok();
            node.gc(&conf, &[&attached]).ok();
            assert!(pod.link("eth0").is_some());
            assert_eq!(scratch(&node).len(), 1);
        }
        node.del(&attached).ok();
        assert_eq!(pod.links(), ["lo"], "{version}");
        assert_eq!(node.leased("cbr0"), [""; 0], "{version}");
        assert_eq!(scratch(&node), [""; 0], "{version}");
        node.del(&attached).ok();
    }
}

#[test]
fn what_the_delegate_says_itself_stays() {
    let (node, pod) = (Node::new(), Pod::new());
    fs::write(env_file(&node), ENV.replace("IPMASQ=true", "IPMASQ=false")).unwrap();
    let mut conf = bare(&node);
    conf["delegate"] = json!({"MTU": 1400, "bridge": "br7", "isGateway": true});
    conf["ipam"]["routes"] = json!([{"dst": "192.0.2.0/24"}]);
    let attached = node.attach(&conf, &pod);
    assert_eq!(pod.link("eth0").unwrap()["mtu"], 1400);
    assert!(node.link("br7").is_some());
    assert_eq!(pod.ip(&["route", "show", "192.0.2.0/24"])[0]["gateway"], "10.244.1.1");
    assert!(pod.ip(&["route", "show", "default"]).as_array().unwrap().is_empty());
    assert_ne!(node.snapshot().section("nft"), [""; 0], "nobody masquerades");
    node.check(&attached).ok();
    // A routed veth.
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = network(&node);
    conf["delegate"] = json!({"type": "ptp"});
    let attached = node.attach(&conf, &pod);
    assert!(!node.links().contains(&"cni0".to_owned()));
    assert!(ping(&node, &attached.ip()));
    node.del(&attached).ok();
    assert_eq!(node.leased("cbr0"), [""; 0]);
}

#[test]
fn two_interfaces_of_a_container_do_not_overwrite_each_other() {
    let (node, pod, first) = attached();
    let second = node.attach_as(&first.conf, &pod, "net1");
    assert_eq!(scratch(&node), [format!("{}:eth0", pod.id), format!("{}:net1", pod.id)]);
    node.del(&second).ok();
    assert_eq!(scratch(&node), [format!("{}:eth0", pod.id)]);
    node.check(&first).ok();
    node.del(&first).ok();
    assert_eq!((scratch(&node), node.leased("cbr0")), (vec![], vec![]));
}

#[test]
fn del_works_when_subnet_and_memory_are_gone() {
    for lost in [&["subnet.env"][..], &["flannel"], &["subnet.env", "flannel"]] {
        let (node, pod, attached) = attached();
        for name in lost {
            let path = node.directory().join(name);
            let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            gone.unwrap();
        }
        node.del(&node.unheard(&attached.conf, &pod)).ok();
        assert_eq!(pod.links(), ["lo"], "{lost:?}");
        assert_eq!(node.leased("cbr0"), [""; 0], "{lost:?}");
        assert_eq!(scratch(&node), [""; 0], "{lost:?}");
    }
}

#[test]
fn a_file_of_flannels_own_plugin_is_read_and_removed() {
    let (node, pod, attached) = attached();
    let directory = node.directory().join("flannel");
    fs::rename(directory.join(format!("{}:eth0", pod.id)), directory.join(&pod.id)).unwrap();
    fs::write(env_file(&node), ENV).unwrap();
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(scratch(&node), [""; 0]);
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn check_tells_a_changed_subnet_and_the_delegates_findings() {
    let (node, pod, attached) = attached();
    node.check(&attached).ok();
    fs::write(env_file(&node), ENV.replace("1450", "1400")).unwrap();
    node.check(&attached).fails().is(103, &["mtu", "1450", "1400", "subnet.env"]);
    fs::write(env_file(&node), ENV.replace("10.244.1.1/24", "10.244.9.1/24")).unwrap();
    node.check(&attached).fails().is(103, &["ipam", "10.244.9.0/24"]);
    fs::write(env_file(&node), ENV).unwrap();
    pod.run(&["ip", "addr", "del", "10.244.1.2/24", "dev", "eth0"]);
    node.check(&attached).fails().is(103, &["10.244.1.2"]);
    fs::remove_file(env_file(&node)).unwrap();
    node.check(&attached).fails().is(11, &["subnet.env"]);
}

#[test]
fn status_says_50_until_the_daemon_has_written() {
    let node = Node::new();
    let conf = bare(&node);
    node.status(&conf).fails().is(50, &["subnet.env", "daemon"]);
    fs::write(env_file(&node), "FLANNEL_NETWORK=10.244.0.0/16\n").unwrap();
    node.status(&conf).fails().is(50, &["FLANNEL_MTU"]);
    node.status(&network(&node)).ok();
    let stranger = with(network(&node), json!({"delegate": {"type": "no-such-plugin"}}));
    node.status(&stranger).fails().is(50, &["no-such-plugin"]);
}

#[test]
fn gc_takes_what_is_not_valid_and_no_other_networks_files() {
    let (node, pod, kept) = attached();
    let other = with(network(&node), json!({"name": "other"}));
    let (second, third) = (node.pod(), node.pod());
    node.attach(&other, &second);
    node.attach(&kept.conf, &third);
    fs::remove_file(env_file(&node)).unwrap();
    node.gc(&kept.conf, &[&kept]).ok();
    let mut want = [format!("{}:eth0", pod.id), format!("{}:eth0", second.id)];
    want.sort();
    assert_eq!(scratch(&node), want);
    assert_eq!(node.leased("cbr0").len(), 2);
    assert_eq!(third.links(), ["lo"]);
    assert_eq!(second.links(), ["lo", "eth0"]);
}

#[test]
fn bad_input_is_named_and_leaves_nothing() {
    let (node, pod) = (Node::new(), Pod::new());
    let good = network(&node);
    node.del(&node.attach(&good, &pod)).ok();
    let before = node.snapshot();
    for (change, code, words) in [
        (json!({"delegate": {"name": "x"}}), 7, &["delegate.name"][..]),
        (json!({"delegate": {"ipam": {}}}), 7, &["delegate.ipam"]),
        (json!({"delegate": 7}), 7, &["delegate", "7"]),
        (json!({"ipam": "host-local"}), 7, &["ipam", "host-local"]),
        (json!({"delegate": {"type": "../bridge"}}), 7, &["delegate.type", "../bridge"]),
        (json!({"delegate": {"type": "no-such-plugin"}}), 7, &["no-such-plugin"]),
        (json!({"delegate": {"mtu": 9}}), 7, &["mtu", "9"]),
        (json!({"subnetFile": "run/x"}), 7, &["subnetFile", "run/x"]),
        (json!({"dataDir": "x"}), 7, &["dataDir", "x"]),
        (json!({"subnetFile": "/nonexistent/subnet.env"}), 11, &["/nonexistent/subnet.env"]),
        (json!({"subnetFile": "/"}), 5, &["subnetFile", "directory"]),
        (json!({"dataDir": "/proc/x"}), 5, &["dataDir", "/proc/x"]),
    ] {
        node.add(&with(good.clone(), change.clone()), &pod, "eth0").fails().is(code, words);
        let difference = before.difference(&node.snapshot());
        assert!(difference.is_empty(), "{change} left\n{difference}");
    }
    // DEL of all of them is fine, but for a delegate that does not exist.
    for change in [json!({"delegate": 7}), json!({"ipam": "x"}), json!({"subnetFile": "x"})] {
        node.del(&node.unheard(&with(good.clone(), change), &pod)).ok();
    }
}
