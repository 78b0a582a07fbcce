//! Bad input: the code, the key and the value, a node as it was, and pods that go on talking.

use std::fs;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Output, Pods, Underlay, ping};

use super::each_mode;
use super::ground::{Cluster, Mode};
use crate::conf::with;

each_mode! {
    a_useless_peer_file_is_refused,
    a_peer_file_that_is_no_file_is_refused,
    options_are_checked_before_anything_is_done,
    a_fault_of_one_peer_leaves_the_others_served,
    a_wrong_local_entry_is_refused,
}

/// What is wrong, the code and the words that an error must have.
type Case<'a, T> = (T, u64, &'a [&'a str]);

/// What an ADD on node 1 says that must fail: nothing of it is left, and the pods of node 1 and 2
/// talk as before.
#[track_caller]
fn refused(cluster: &Cluster, conf: &Value, case: &str, code: u64, words: &[&str]) {
    let (node, pod) = (cluster.node(1), cluster.node(1).pod());
    let before = node.snapshot();
    let output = node.add(conf, &pod, "eth0");
    assert!(!output.succeeded(), "{case}: {output}");
    output.fails().is(code, words);
    unchanged(cluster, &before, case);
    assert_eq!(pod.links(), ["lo"], "{case}");
    node.del(&node.unheard(conf, &pod)).ok();
    unchanged(cluster, &before, case);
}

#[track_caller]
fn unchanged(cluster: &Cluster, before: &testkit::Snapshot, case: &str) {
    let difference = before.difference(&cluster.node(1).snapshot());
    assert!(difference.is_empty(), "{case} left\n{difference}");
    for ip in cluster.attachment(2).ips() {
        assert!(ping(cluster.pod(1), &ip), "{case}: {ip} is out of reach");
    }
}

fn pair(mode: Mode) -> Cluster {
    let mut cluster = Cluster::empty(mode, Underlay::Segment, mode.pods(), json!({}));
    cluster.pods = (1..=2).map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
    cluster
}

fn a_useless_peer_file_is_refused(mode: Mode) {
    let cluster = pair(mode);
    let path = cluster.fleet.roster.path(cluster.node(1)).to_str().unwrap().to_owned();
    let whole = cluster.fleet.roster.file(1);
    let changed = |more: Value| with(whole.clone(), more).to_string();
    let text = whole.to_string();
    let cases: Vec<Case<String>> = vec![
        (String::new(), 6, &[]),
        ("   \n".to_owned(), 6, &[]),
        (text[..text.len() / 2].to_owned(), 6, &[]),
        (text[..text.len() - 1].to_owned(), 6, &[]),
        ("nodes: [n1, n2]".to_owned(), 6, &[]),
        ("[]".to_owned(), 6, &["object"]),
        ("null".to_owned(), 7, &["version"]),
        ("\u{0}\u{1}".to_owned(), 6, &[]),
        (changed(json!({"version": 2})), 7, &["version", "2", "1"]),
        (changed(json!({"version": 0})), 7, &["version", "0"]),
        (changed(json!({"version": "1"})), 6, &["version"]),
        (changed(json!({"version": null})), 7, &["version"]),
        (changed(json!({"local": null})), 7, &["local"]),
        (changed(json!({"local": "n1"})), 6, &["local"]),
        (changed(json!({"clusterCIDRs": null})), 7, &["clusterCIDRs"]),
        (changed(json!({"clusterCIDRs": []})), 7, &["clusterCIDRs"]),
        (changed(json!({"clusterCIDRs": ["10.244.0.0"]})), 7, &["clusterCIDRs", "10.244.0.0"]),
        (
            changed(json!({"clusterCIDRs": ["10.244.0.1/16"]})),
            7,
            &["clusterCIDRs", "10.244.0.1/16"],
        ),
        (changed(json!({"clusterCIDRs": ["10.99.0.0/16"]})), 7, &["10.244.1.0/24", "podCIDRs"]),
        (changed(json!({"peers": {"n2": {}}})), 6, &["peers"]),
        (changed(json!({"peers": "none"})), 6, &["peers"]),
    ];
    for (text, code, words) in &cases {
        cluster.fleet.roster.write_text(cluster.node(1), text);
        refused(&cluster, &cluster.conf(1), text, *code, &[&[path.as_str()], *words].concat());
    }
    fs::remove_file(&path).unwrap();
    refused(&cluster, &cluster.conf(1), "no file", 5, &[&path]);
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.holds(1);
}

/// The call of `work`, which must come back by itself.
#[track_caller]
fn returns(path: &Path, work: impl FnOnce() -> Output + Send) -> Output {
    thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        scope.spawn(move || drop(send.send(work())));
        receive.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|_| {
            // Lets go of whoever waits for somebody to write.
            drop(OpenOptions::new().write(true).custom_flags(0o4000).open(path));
            panic!("the call hangs on {}", path.display())
        })
    })
}

fn a_peer_file_that_is_no_file_is_refused(mode: Mode) {
    let cluster = pair(mode);
    let (node, path) = (cluster.node(1), cluster.fleet.roster.path(cluster.node(1)));
    let shown = path.to_str().unwrap();
    fs::remove_file(&path).unwrap();
    let makers: &[(&str, &dyn Fn())] = &[
        ("a directory", &|| fs::create_dir(&path).unwrap()),
        ("a FIFO", &|| drop(node.run(&["mkfifo", shown]))),
        ("a link to nowhere", &|| std::os::unix::fs::symlink("/nowhere/x", &path).unwrap()),
        ("a link to itself", &|| std::os::unix::fs::symlink(&path, &path).unwrap()),
        ("an endless device", &|| std::os::unix::fs::symlink("/dev/zero", &path).unwrap()),
        ("an empty device", &|| std::os::unix::fs::symlink("/dev/null", &path).unwrap()),
    ];
    for (what, make) in makers {
        make();
        let pod = node.pod();
        let before = node.snapshot();
        let output = returns(&path, || node.add(&cluster.conf(1), &pod, "eth0"));
        assert!(!output.succeeded(), "{what}: {output}");
        let error = output.fails();
        assert!(matches!(error.code, 5..=7) && error.text().contains(shown), "{what}: {error}");
        returns(&path, || node.status(&cluster.conf(1))).fails().is(50, &[shown]);
        returns(&path, || node.check(cluster.attachment(1))).fails();
        returns(&path, || node.del(&node.unheard(&cluster.conf(1), &pod))).ok();
        unchanged(&cluster, &before, what);
        assert_eq!(pod.links(), ["lo"]);
        if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
    }
    cluster.fleet.write(1);
    cluster.next_add(1);
}

fn options_are_checked_before_anything_is_done(mode: Mode) {
    let cluster = pair(mode);
    // The pods of this cluster share one MTU: that of the family with the larger overhead.
    let limit = (1500 - mode.overhead(mode.pods())).to_string();
    let mut cases: Vec<Case<Value>> = vec![
        (json!({"mtu": 1501}), 7, &["mtu", "1501"]),
        (json!({"mtu": 70_000}), 7, &["mtu", "70000"]),
        (json!({"mtu": -1}), 7, &["mtu", "-1"]),
        (json!({"mtu": 60}), 7, &["mtu", "60"]),
        (json!({"mtu": "big"}), 6, &["mtu"]),
        (json!({"attach": "foo"}), 7, &["attach", "foo"]),
        (json!({"attach": 5}), 6, &["attach"]),
        (json!({"protocol": 2}), 7, &["protocol", "2"]),
        (json!({"protocol": 4}), 7, &["protocol", "4"]),
        (json!({"protocol": 256}), 7, &["protocol", "256"]),
        (json!({"protocol": -5}), 7, &["protocol", "-5"]),
        (json!({"peers": []}), 7, &["peers", "peersFile"]),
        (json!({"local": {"name": "n1"}}), 7, &["local", "peersFile"]),
        (json!({"clusterCIDRs": ["10.244.0.0/16"]}), 7, &["clusterCIDRs", "peersFile"]),
        (json!({"peersFile": 7}), 6, &["peersFile"]),
        (json!({"peersFile": "relative/peers.json"}), 7, &["peersFile", "relative/peers.json"]),
        (json!({"stateDir": "relative"}), 7, &["stateDir", "relative"]),
        (json!({"iface": "nowhere0"}), 7, &["iface", "nowhere0"]),
        (json!({"iface": "a-name-of-seventeen"}), 7, &["iface", "a-name-of-seventeen"]),
        (json!({"checksumOffload": "perhaps"}), 7, &["checksumOffload", "perhaps"]),
        (json!({"nonMasqueradeCIDRs": ["everywhere"]}), 7, &["nonMasqueradeCIDRs", "everywhere"]),
        (json!({"nonMasqueradeCIDRs": ["10.0.0.1/8"]}), 7, &["nonMasqueradeCIDRs", "10.0.0.1/8"]),
        (json!({"nonMasqueradeCIDRs": "10.0.0.0/8"}), 6, &["nonMasqueradeCIDRs"]),
        (json!({"bridge": "a-name-of-seventeen"}), 7, &["bridge", "a-name-of-seventeen"]),
        (json!({"vlan": 5000}), 7, &["vlan", "5000"]),
    ];
    let tunnel: Vec<Case<Value>> = vec![
        (json!({"device": "sixteen-letters-"}), 7, &["device", "sixteen-letters-"]),
        (json!({"device": "a/b"}), 7, &["device", "a/b"]),
        (json!({"device": "dev%d"}), 7, &["device", "dev%d"]),
        (json!({"directRouting": "yes"}), 6, &["directRouting"]),
    ];
    let vxlan: Vec<Case<Value>> = vec![
        (json!({"vni": 0}), 7, &["vni", "0"]),
        (json!({"vni": 16_777_216}), 7, &["vni", "16777216"]),
        (json!({"vni": -1}), 7, &["vni", "-1"]),
        (json!({"vni": "1"}), 6, &["vni"]),
        (json!({"port": 0}), 7, &["port", "0"]),
        (json!({"port": 70_000}), 7, &["port", "70000"]),
        (json!({"device": "cni0"}), 101, &["cni0", "bridge"]),
    ];
    if mode != Mode::HostGw {
        cases.extend(tunnel);
    }
    match mode {
        Mode::Vxlan => cases.extend(vxlan),
        Mode::Ipip => cases.extend([(json!({"pmtudisc": "no"}), 6, &["pmtudisc"][..])]),
        Mode::HostGw => {}
    }
    for (change, code, words) in &cases {
        let conf = with(cluster.conf(1), change.clone());
        refused(&cluster, &conf, &change.to_string(), *code, words);
    }
    let above = (1501 - mode.overhead(mode.pods())).to_string();
    let conf = with(cluster.conf(1), json!({"mtu": above.parse::<u32>().unwrap()}));
    refused(&cluster, &conf, "an MTU one above", 7, &["mtu", &above, &limit]);
    // The limit itself is none above it.
    let conf = with(cluster.conf(1), json!({"mtu": limit.parse::<u32>().unwrap()}));
    drop(cluster.fleet.attach(&conf, 1));
}

fn a_wrong_local_entry_is_refused(mode: Mode) {
    let cluster = pair(mode);
    let whole = cluster.fleet.roster.file(1);
    let cases: Vec<Case<Value>> = vec![
        (json!({"name": null}), 7, &["local", "name"]),
        (json!({"name": ""}), 7, &["local", "name"]),
        (json!({"name": 5}), 6, &["name"]),
        (json!({"podCIDRs": []}), 7, &["local", "podCIDRs"]),
        (json!({"podCIDRs": null}), 7, &["local", "podCIDRs"]),
        (
            json!({"podCIDRs": ["10.244.1.5/24"]}),
            7,
            &["podCIDRs", "10.244.1.5/24", "10.244.1.0/24"],
        ),
        (json!({"podCIDRs": ["10.250.1.0/24"]}), 7, &["podCIDRs", "10.250.1.0/24"]),
        (json!({"podCIDRs": ["nonsense"]}), 7, &["podCIDRs", "nonsense"]),
        (
            json!({"podCIDRs": ["10.244.1.0/24", "10.244.1.128/25"]}),
            7,
            &["10.244.1.0/24", "10.244.1.128/25"],
        ),
        (json!({"nodeIPs": []}), 7, &["local", "nodeIPs"]),
        (json!({"nodeIPs": ["192.168.2.1/24"]}), 7, &["nodeIPs", "192.168.2.1/24"]),
        (json!({"nodeIPs": ["192.168.2.1", "192.168.2.7"]}), 7, &["nodeIPs", "192.168.2.7"]),
        (json!({"nodeIPs": ["127.0.0.1"]}), 7, &["nodeIPs", "127.0.0.1"]),
        (json!({"nodeIPs": ["0.0.0.0"]}), 7, &["nodeIPs", "0.0.0.0"]),
        (json!({"nodeIPs": ["224.0.0.1"]}), 7, &["nodeIPs", "224.0.0.1"]),
        // It is nobody's here.
        (json!({"nodeIPs": ["192.168.2.99", "fd00:192:168:2::1"]}), 7, &["192.168.2.99"]),
        (json!({"vtepMAC": "66:00"}), 7, &["vtepMAC", "66:00"]),
        (json!({"vtepMAC": "01:00:00:00:00:01"}), 7, &["vtepMAC", "01:00:00:00:00:01"]),
        (json!({"vtepMAC": "00:00:00:00:00:00"}), 7, &["vtepMAC", "00:00:00:00:00:00"]),
    ];
    for (change, code, words) in &cases {
        let mut file = whole.clone();
        file["local"] = with(file["local"].take(), change.clone());
        cluster.fleet.roster.write_text(cluster.node(1), &file.to_string());
        refused(&cluster, &cluster.conf(1), &change.to_string(), *code, words);
    }
    // An address that an interface of another name has is none of `iface`.
    cluster.fleet.write(1);
    let conf = with(cluster.conf(1), json!({"iface": "lo"}));
    refused(&cluster, &conf, "another interface", 7, &["lo", "192.168.2.1"]);
}

fn a_fault_of_one_peer_leaves_the_others_served(mode: Mode) {
    let mut cluster = pair(mode);
    let good = cluster.fleet.roster.file(1);
    let node_ips = |n: usize| match mode.pods() {
        Pods::Dual => json!([format!("192.168.2.{n}"), format!("fd00:192:168:2::{n}")]),
        _ => json!([format!("192.168.2.{n}")]),
    };
    let ninth = json!({"name": "n9", "podCIDRs": ["10.244.9.0/24"], "nodeIPs": node_ips(9)});
    let cases: &[(Value, &[&str])] = &[
        (json!({"name": null}), &["peers[2]", "name"]),
        (json!({"name": ""}), &["peers[2]", "name"]),
        (json!({"name": 5}), &["peers[2]", "name"]),
        (json!({"podCIDRs": ["10.244.9.1/24"]}), &["n9", "10.244.9.1/24", "10.244.9.0/24"]),
        (json!({"podCIDRs": ["10.244.9.0/33"]}), &["n9", "10.244.9.0/33"]),
        (json!({"podCIDRs": ["pods"]}), &["n9", "podCIDRs", "pods"]),
        (json!({"podCIDRs": "10.244.9.0/24"}), &["n9", "podCIDRs"]),
        (json!({"podCIDRs": []}), &["n9", "podCIDRs"]),
        (json!({"podCIDRs": ["172.30.0.0/24"]}), &["n9", "172.30.0.0/24"]),
        (json!({"podCIDRs": ["10.244.1.128/25"]}), &["n9", "10.244.1.128/25", "10.244.1.0/24"]),
        (
            json!({"podCIDRs": ["10.244.2.128/25"]}),
            &["n9", "10.244.2.128/25", "10.244.2.0/24", "n2"],
        ),
        (json!({"podCIDRs": ["10.244.0.0/16"]}), &["n9", "10.244.0.0/16"]),
        (json!({"podCIDRs": ["10.244.9.0/24", "10.244.9.0/25"]}), &["n9", "10.244.9.0/25"]),
        (json!({"nodeIPs": []}), &["n9", "nodeIPs"]),
        (json!({"nodeIPs": null}), &["n9", "nodeIPs"]),
        (json!({"nodeIPs": ["there"]}), &["n9", "nodeIPs", "there"]),
        (json!({"nodeIPs": ["192.168.2.1"]}), &["n9", "192.168.2.1"]),
        (json!({"nodeIPs": ["192.168.2.2"]}), &["n9", "192.168.2.2", "n2"]),
        (json!({"nodeIPs": ["fd00:192:168:2::9"]}), &["n9", "10.244.9.0/24", "IPv4"]),
        (json!({"nodeIPs": ["0.0.0.0"]}), &["n9", "0.0.0.0"]),
        (json!({"vtepMAC": "nonsense"}), &["n9", "vtepMAC", "nonsense"]),
        (json!({"vtepMAC": "ff:ff:ff:ff:ff:ff"}), &["n9", "vtepMAC", "ff:ff:ff:ff:ff:ff"]),
    ];
    let judge = |cluster: &Cluster, file: &Value, what: &str, words: &[&str]| {
        cluster.fleet.roster.write_text(cluster.node(1), &file.to_string());
        let (node, pod) = (cluster.node(1), cluster.node(1).pod());
        let output = node.add(&cluster.conf(1), &pod, "eth0");
        assert!(output.succeeded(), "{what}: {output}");
        for word in words {
            assert!(output.stderr.contains(word), "{word} after {what}: {output}");
        }
        let attached = node.attached(&cluster.conf(1), &pod, "eth0", &output);
        let error = node.check(&attached).fails();
        error.is(103, words);
        node.status(&cluster.conf(1)).ok();
        node.del(&attached).ok();
        cluster.holds(1);
        for ip in cluster.attachment(2).ips() {
            assert!(ping(cluster.pod(1), &ip), "{what}");
        }
    };
    for (change, words) in cases {
        let mut file = good.clone();
        let peer = with(ninth.clone(), change.clone());
        file["peers"].as_array_mut().unwrap().push(peer);
        judge(&cluster, &file, &change.to_string(), words);
    }
    for odd in [json!(null), json!("n9"), json!([])] {
        let mut file = good.clone();
        file["peers"].as_array_mut().unwrap().push(odd.clone());
        judge(&cluster, &file, &odd.to_string(), &["peers[2]"]);
    }
    // Of two that claim the same, the first in the list has it, whatever their names.
    let mut file = good.clone();
    let peers = file["peers"].as_array_mut().unwrap();
    peers.push(with(ninth.clone(), json!({"name": "a", "podCIDRs": ["10.244.2.0/24"]})));
    judge(&cluster, &file, "a rival at the end", &["peer a", "n2", "10.244.2.0/24"]);
    let mut file = good.clone();
    let peers = file["peers"].as_array_mut().unwrap();
    let twice = with(ninth.clone(), json!({"name": "n2"}));
    peers.insert(0, twice);
    cluster.fleet.roster.write_text(cluster.node(1), &file.to_string());
    let output = cluster.node(1).add(&cluster.conf(1), &cluster.node(1).pod(), "eth0");
    output.ok();
    assert!(output.stderr.contains("n2"), "{output}");
    if mode == Mode::Vxlan {
        let own = super::state::vtep_mac(&good["local"], false);
        let second = super::state::vtep_mac(&good["peers"][0], false);
        for (mac, words) in [(&own, &["n9", own.as_str()][..]), (&second, &["n9", "n2", &second])] {
            let mut file = good.clone();
            let peer = with(ninth.clone(), json!({"vtepMAC": mac}));
            file["peers"].as_array_mut().unwrap().push(peer);
            judge(&cluster, &file, "a MAC that another has", words);
        }
    }
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.check(1).ok();
    // A family that this node has no pods of cannot be served; the other one is.
    if mode.pods() == Pods::Dual {
        cluster.fleet.roster.entries[0]["podCIDRs"] = json!(["10.244.1.0/24"]);
        cluster.fleet.write(1);
        let output = cluster.node(1).add(&cluster.conf(1), &cluster.node(1).pod(), "eth0");
        output.ok();
        for word in ["n2", "fd00:244:2::/64", "n3", "fd00:244:3::/64"] {
            assert!(output.stderr.contains(word), "{word}: {output}");
        }
        assert!(ping(cluster.pod(1), &cluster.attachment(2).ip()));
    }
}
