//! `firewall`: past the filter of a node that drops what it forwards, judged by traffic, `nft`,
//! `iptables` and firewalld.

mod faults;
mod firewalld;
mod ownership;
mod policy;
mod shared;

use serde_json::{Value, json};
use testkit::{Attachment, Netns, Node, OUTSIDE_V4, OUTSIDE_V6, Pod, need, silent, tcp};

use crate::conf::{DUAL, bridge, with};

/// What the node's iptables keeps its rules in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Nft,
    Legacy,
}

impl Kind {
    /// Its tools for both families.
    fn tools(self) -> [&'static str; 2] {
        match self {
            Self::Nft => ["iptables-nft", "ip6tables-nft"],
            Self::Legacy => ["iptables-legacy", "ip6tables-legacy"],
        }
    }
}

/// A node that drops what it forwards, as Docker makes it, and a machine outside.
pub fn dropping(kind: Kind) -> (Node, Netns) {
    let node = Node::new();
    let outside = node.outside();
    for tool in kind.tools() {
        node.run(&[tool, "-P", "FORWARD", "DROP"]);
    }
    (node, outside)
}

/// The rules of the table filter.
pub fn filter(node: &Node, kind: Kind) -> String {
    kind.tools().map(|tool| node.run(&[tool, "-S"])).concat()
}

/// Pods behind the gateway `bridge`, masqueraded.
pub fn network(node: &Node, name: &str, link: &str, subnets: &[&str]) -> Value {
    let more = json!({"name": name, "bridge": link, "isDefaultGateway": true, "ipMasq": true});
    with(bridge(node, subnets), more)
}

/// The plugin behind another one.
pub fn firewall(before: &Attachment, options: Value) -> Value {
    let head = json!({
        "cniVersion": before.conf["cniVersion"], "name": before.conf["name"], "type": "firewall",
        "prevResult": before.result,
    });
    with(head, options)
}

/// A pod in a network with the plugin behind it.
pub struct Guest {
    pub pod: Pod,
    pub joined: Attachment,
    pub admitted: Attachment,
}

impl Guest {
    #[track_caller]
    pub fn new(node: &Node, network: &Value, options: Value) -> Self {
        let pod = node.pod();
        let joined = node.attach(network, &pod);
        let admitted = node.attach(&firewall(&joined, options), &pod);
        assert_eq!(admitted.result, joined.result);
        Self { pod, joined, admitted }
    }

    pub fn ip(&self, at: usize) -> String {
        self.joined.ips()[at].clone()
    }

    #[track_caller]
    pub fn leave(&self, node: &Node) {
        node.del(&self.admitted).ok();
        node.del(&self.joined).ok();
    }
}

pub fn reaches(from: &Netns, outside: &Netns) -> bool {
    [OUTSIDE_V4, OUTSIDE_V6].iter().all(|to| tcp(from, outside, to).is_ok())
}

pub fn is_cut_off(from: &Netns) -> bool {
    [OUTSIDE_V4, OUTSIDE_V6].iter().all(|to| silent(from, to))
}

/// By what, on what.
const WAYS: [(&str, Kind); 3] =
    [("nftables", Kind::Nft), ("nftables", Kind::Legacy), ("iptables", Kind::Nft)];

#[test]
fn what_a_policy_of_drop_holds_back_gets_out_and_the_answers_come_back() {
    need!(Nft, Iptables);
    for (backend, kind) in WAYS {
        let (node, outside) = dropping(kind);
        let conf = network(&node, "net", "br0", DUAL);
        let stays = node.pod();
        node.attach(&conf, &stays);
        let before = (node.snapshot(), filter(&node, kind));
        assert!(is_cut_off(&stays), "{backend} {kind:?}");

        let options = json!({"backend": backend});
        let [a, b] = [(); 2].map(|()| Guest::new(&node, &conf, options.clone()));
        for guest in [&a, &b] {
            assert!(reaches(&guest.pod, &outside), "{backend} {kind:?}");
            node.check(&guest.admitted).ok();
        }
        assert!(is_cut_off(&stays), "{backend} {kind:?}: nobody asked for it");
        // To reach a pod from elsewhere is another matter.
        outside.run(&["ip", "route", "add", "10.1.0.0/24", "via", testkit::UPLINK_V4]);
        assert!(silent(&outside, &a.ip(0)), "{backend} {kind:?}");

        a.leave(&node);
        assert!(reaches(&b.pod, &outside), "{backend} {kind:?}");
        node.check(&b.admitted).ok();
        b.leave(&node);
        before.0.assert_same(&node.snapshot());
        assert_eq!(filter(&node, kind), before.1, "{backend} {kind:?}");
    }
}

#[test]
fn ipv4_alone_needs_nothing_of_ipv6() {
    need!(Nft, Iptables);
    for backend in ["nftables", "iptables"] {
        let node = Node::new();
        let conf = network(&node, "net", "br0", &["10.1.0.0/24"]);
        let guest = Guest::new(&node, &conf, json!({"backend": backend}));
        let nft = node.snapshot().section("nft").join("\n");
        assert!(!nft.contains("\"ip6\""), "{backend}: {nft}");
        node.check(&guest.admitted).ok();
        guest.leave(&node);
    }
}

#[test]
fn a_node_without_iptables_tables_is_prepared_for_one_that_comes_later() {
    need!(Nft, Iptables);
    let node = Node::new();
    let outside = node.outside();
    let conf = network(&node, "net", "br0", DUAL);
    let stays = Guest::new(&node, &conf, json!({}));
    for tool in Kind::Nft.tools() {
        node.run(&[tool, "-P", "FORWARD", "DROP"]);
    }
    assert!(reaches(&stays.pod, &outside));
    stays.leave(&node);
    // The table is somebody else's by now.
    let left = filter(&node, Kind::Nft);
    assert!(left.contains("-P FORWARD DROP") && !left.contains("CNI-"), "{left}");
}

#[test]
fn every_version_is_served_from_add_to_del() {
    need!(Nft);
    for version in testkit::VERSIONS {
        let node = Node::new();
        let before = node.snapshot();
        let conf = with(network(&node, "net", "br0", DUAL), json!({"cniVersion": version}));
        let pod = node.pod();
        let joined = node.attach(&conf, &pod);
        let output = node.add(&firewall(&joined, json!({})), &pod, "eth0");
        assert_eq!(output.stderr, "", "{version}");
        let admitted = node.attached(&firewall(&joined, json!({})), &pod, "eth0", &output);
        assert_eq!(admitted.result, joined.result, "{version}");
        if *version >= "0.4.0" {
            node.check(&admitted).ok();
        }
        if *version >= "1.1.0" {
            node.status(&admitted.conf).ok();
            node.gc(&admitted.conf, &[&admitted]).ok();
            node.check(&admitted).ok();
        }
        node.del(&admitted).ok();
        node.del(&joined).ok();
        assert_eq!(before.section("nft"), node.snapshot().section("nft"), "{version}");
    }
}

#[test]
fn check_names_what_is_gone() {
    need!(Nft, Iptables);
    let damages: &[(&str, &[&str], &str)] = &[
        ("nftables", &["nft", "flush", "chain", "inet", "podwire-admission", "forward"], "forward"),
        (
            "nftables",
            &["nft", "delete", "element", "inet", "podwire-admission", "admitted4", "{10.1.0.2}"],
            "10.1.0.2",
        ),
        ("nftables", &["iptables", "-F", "FORWARD"], "FORWARD"),
        ("nftables", &["ip6tables", "-F", "CNI-FORWARD"], "CNI-FORWARD"),
        ("nftables", &["nft", "flush", "set", "inet", "podwire-admission", "closed"], "br0"),
        ("nftables", &["nft", "flush", "ruleset"], "10.1.0.2"),
        ("iptables", &["iptables", "-F", "FORWARD"], "FORWARD"),
        ("iptables", &["ip6tables", "-F", "CNI-FORWARD"], "fd00:1::2"),
        ("iptables", &["iptables", "-F", "CNI-ISOLATION-STAGE-2"], "CNI-ISOLATION-STAGE-2"),
    ];
    for (backend, damage, word) in damages {
        let node = Node::new();
        let conf = network(&node, "net", "br0", DUAL);
        let options = json!({"backend": backend, "ingressPolicy": "same-bridge"});
        let guest = Guest::new(&node, &conf, options);
        node.check(&guest.admitted).ok();
        node.run(damage);
        let error = node.check(&guest.admitted).fails();
        error.is(103, &[word]);
        // The next ADD mends what all have in common, a second one of the same its own.
        node.add(&guest.admitted.conf, &guest.pod, "eth0").ok();
        node.check(&guest.admitted).ok();
        guest.leave(&node);
        let left = node.snapshot().section("nft").join("\n");
        assert!(!left.contains("podwire") && !left.contains("CNI-"), "{damage:?}: {left}");
    }
}

#[test]
fn check_looks_at_the_legacy_tables_too() {
    need!(Nft, Iptables);
    let (node, _outside) = dropping(Kind::Legacy);
    let conf = network(&node, "net", "br0", DUAL);
    let guest = Guest::new(&node, &conf, json!({}));
    node.run(&["iptables-legacy", "-F", "CNI-FORWARD"]);
    node.check(&guest.admitted).fails().is(103, &["CNI-FORWARD", "0x1000"]);
    let another = Guest::new(&node, &conf, json!({}));
    node.check(&guest.admitted).ok();
    another.leave(&node);
    guest.leave(&node);
}

#[test]
fn nothing_is_executed_where_iptables_is_iptables_nft() {
    need!(Nft, Iptables);
    let (node, _outside) = dropping(Kind::Nft);
    let conf = network(&node, "net", "br0", DUAL);
    let guest = Guest::new(&node, &conf, json!({"ingressPolicy": "same-bridge"}));
    for call in [
        node.add_call(&guest.admitted.conf, &guest.pod, "eth0"),
        node.check_call(&guest.admitted),
        node.del_call(&guest.admitted),
    ] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        call.fault(&format!("count:{}", file.path().display())).run().ok();
        let passed = std::fs::read_to_string(file.path()).expect("the points");
        assert!(passed.contains("netfilter") && !passed.contains("iptables"), "{passed}");
    }
}

#[test]
fn status_tells_what_is_missing() {
    need!(Nft);
    let node = Node::new();
    let before = node.snapshot();
    let conf = |backend: &str| json!({"cniVersion": "1.1.0", "name": "net", "type": "firewall", "backend": backend});
    for backend in ["", "nftables"] {
        node.status(&conf(backend)).ok();
    }
    node.status(&conf("firewalld")).fails().is(50, &["firewalld", "not running"]);
    let guest = node.pod();
    let network = network(&node, "net", "br0", DUAL);
    let joined = node.attach(&network, &guest);
    let add = node.add(&firewall(&joined, json!({"backend": "firewalld"})), &guest, "eth0");
    add.fails().is(100, &["firewalld", "not running"]);
    node.del(&joined).ok();
    assert_eq!(before.section("nft"), node.snapshot().section("nft"));
}

#[test]
fn a_network_of_layer_2_is_let_be() {
    need!(Nft);
    let node = Node::new();
    let conf = json!({"cniVersion": "1.1.0", "name": "l2", "type": "bridge", "bridge": "br0"});
    let before = node.snapshot();
    let guest = Guest::new(&node, &conf, json!({}));
    node.check(&guest.admitted).ok();
    assert_eq!(before.section("nft"), node.snapshot().section("nft"));
    guest.leave(&node);
}
