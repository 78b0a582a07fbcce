//! What bad input gets: the spec's code, the offending key and value, and a node as it was.

use serde_json::{Value, json};
use testkit::{Node, Pod};

use crate::conf::{DUAL, bridge, ptp, single, with};

/// A configuration that must be refused: what is changed in it, the code, and what is named.
type Case = (Value, u64, &'static [&'static str]);

/// An ADD of each case must fail as it says, and leave node and pod as they were. `vary` makes a
/// configuration of a change; without one it must be good.
#[track_caller]
fn refused(vary: impl Fn(&Node, Value) -> Value, cases: &[Case]) {
    let (node, pod) = (Node::new(), Pod::new());
    // A good ADD first, so that directories and tables that stay are there.
    node.del(&node.attach(&vary(&node, json!({})), &pod)).ok();
    let before = node.snapshot();
    for (change, code, words) in cases {
        let output = node.add(&vary(&node, change.clone()), &pod, "eth0");
        output.fails().is(*code, words);
        let difference = before.difference(&node.snapshot());
        assert!(difference.is_empty(), "{change} left\n{difference}");
        assert_eq!(pod.links(), ["lo"], "{change}");
    }
}

/// The same for the `ipam` section.
#[track_caller]
fn ipam_refused(cases: &[Case]) {
    let vary = |node: &Node, change| {
        let mut conf = bridge(node, DUAL);
        conf["ipam"] = with(conf["ipam"].take(), change);
        conf
    };
    refused(vary, cases);
}

#[test]
fn bridge_names_key_and_value() {
    refused(
        |node, change| with(bridge(node, DUAL), change),
        &[
            (json!({"mtu": -1}), 7, &["mtu", "-1"]),
            (json!({"mtu": 67}), 7, &["mtu", "67"]),
            (json!({"mtu": 70000}), 7, &["mtu", "70000"]),
            (json!({"mtu": 1_000_000_000_000_u64}), 7, &["mtu", "1000000000000"]),
            (json!({"mtu": "big"}), 6, &["mtu"]),
            (json!({"mtu": 1500.5}), 7, &["mtu"]),
            (json!({"isGateway": "yes"}), 6, &["isGateway"]),
            (json!({"bridge": 7}), 6, &["bridge"]),
            (json!({"bridge": "br%d"}), 7, &["bridge", "br%d", "pattern"]),
            (json!({"bridge": "all"}), 7, &["bridge", "all"]),
            (json!({"mtu": 1000}), 7, &["mtu", "1000", "1280"]),
            (json!({"vlan": 5000}), 7, &["vlan", "5000"]),
            (json!({"vlan": 4095}), 7, &["vlan", "4095"]),
            (json!({"vlan": -1}), 7, &["vlan", "-1"]),
            (json!({"vlanTrunk": [{"id": 4095}]}), 7, &["vlanTrunk", "4095"]),
            (json!({"vlanTrunk": [{"id": 0}]}), 7, &["vlanTrunk", "0"]),
            (json!({"vlanTrunk": [{"minID": 300, "maxID": 200}]}), 7, &["vlanTrunk", "300", "200"]),
            (json!({"vlanTrunk": [{"minID": 300}]}), 7, &["vlanTrunk", "maxID"]),
            (json!({"vlanTrunk": [{}]}), 7, &["vlanTrunk"]),
            (json!({"vlanTrunk": {"id": 5}}), 6, &["vlanTrunk"]),
            (json!({"hairpinMode": true, "promiscMode": true}), 7, &["hairpinMode", "promiscMode"]),
            (json!({"disableContainerInterface": true}), 7, &["disableContainerInterface", "ipam"]),
            (json!({"bridge": "sixteen-letters-"}), 7, &["bridge", "sixteen-letters-"]),
            (json!({"bridge": "a/b"}), 7, &["bridge", "a/b"]),
            (json!({"ipMasqBackend": "ipfw", "ipMasq": true}), 7, &["ipMasqBackend", "ipfw"]),
            (
                json!({"nonMasqueradeCIDRs": ["10.0.0.0/8", "10.9.0.0"]}),
                7,
                &["nonMasqueradeCIDRs[1]", "10.9.0.0", "prefix length"],
            ),
            (
                json!({"ipMasq": true, "nonMasqueradeCIDRs": ["fd00:9::/48", "10.9.0.7/24"]}),
                7,
                &["nonMasqueradeCIDRs[1]", "10.9.0.7/24", "10.9.0.0/24"],
            ),
            (json!({"nonMasqueradeCIDRs": "10.0.0.0/8"}), 6, &["nonMasqueradeCIDRs"]),
            (json!({"runtimeConfig": {"mac": "02:00:00:00:00"}}), 7, &["mac", "02:00:00:00:00"]),
            (
                json!({"args": {"cni": {"mac": "03:00:00:00:00:01"}}}),
                7,
                &["mac", "03:00:00:00:00:01"],
            ),
            (json!({"ipam": {"type": "../host-local"}}), 7, &["ipam", "../host-local"]),
            (json!({"ipam": {"type": 5}}), 6, &["ipam"]),
        ],
    );
}

#[test]
fn ptp_names_key_and_value() {
    refused(
        |node, change| with(ptp(node, DUAL), change),
        &[
            (json!({"mtu": -1}), 7, &["mtu", "-1"]),
            (json!({"mtu": 70000}), 7, &["mtu", "70000"]),
            (json!({"mtu": []}), 6, &["mtu"]),
            (json!({"ipMasq": 1}), 6, &["ipMasq"]),
            (
                json!({"nonMasqueradeCIDRs": ["10.0.0.0/33"]}),
                7,
                &["nonMasqueradeCIDRs[0]", "10.0.0.0/33"],
            ),
            (json!({"ipam": "static"}), 6, &["ipam"]),
        ],
    );
}

#[test]
fn ranges_are_checked_before_anything_is_taken() {
    let range = |range: Value| json!({"ranges": [[range]]});
    ipam_refused(&[
        (json!({"ranges": []}), 7, &["range"]),
        (json!({"ranges": [[]]}), 7, &["range"]),
        (json!({"ranges": [{"subnet": "10.1.0.0/24"}]}), 6, &["ranges"]),
        (range(json!({"subnet": "10.1.0.0"})), 7, &["subnet", "10.1.0.0"]),
        (range(json!({"subnet": "10.1.0.0/33"})), 7, &["subnet", "10.1.0.0/33"]),
        (range(json!({"subnet": "10.1.0.7/24"})), 7, &["subnet", "10.1.0.7/24", "10.1.0.0/24"]),
        (range(json!({"subnet": "10.1.0.0/31"})), 7, &["subnet", "10.1.0.0/31"]),
        (range(json!({"subnet": "fd00:1::/127"})), 7, &["subnet", "fd00:1::/127"]),
        (range(json!({})), 7, &["subnet"]),
        (
            range(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.5"})),
            7,
            &["rangeStart", "10.2.0.5", "10.1.0.0/24"],
        ),
        (
            range(json!({"subnet": "10.1.0.0/24", "rangeEnd": "10.1.1.5"})),
            7,
            &["rangeEnd", "10.1.1.5", "10.1.0.0/24"],
        ),
        (
            range(
                json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.50", "rangeEnd": "10.1.0.40"}),
            ),
            7,
            &["range", "10.1.0.50", "10.1.0.40"],
        ),
        (
            range(json!({"subnet": "10.1.0.0/24", "rangeStart": "fd00::5"})),
            7,
            &["rangeStart", "fd00::5"],
        ),
        (range(json!({"subnet": "10.1.0.0/24", "gateway": "fd00::1"})), 7, &["gateway", "fd00::1"]),
        (range(json!({"subnet": "10.1.0.0/24", "gateway": "nearby"})), 7, &["gateway", "nearby"]),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.128/25"}]]}),
            7,
            &["ranges[1][0]", "10.1.0.129-10.1.0.254", "ranges[0][0]", "overlap"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/25"}]]}),
            7,
            &["ranges[0][1]", "10.1.0.1-10.1.0.126", "ranges[0][0]", "overlap"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}),
            7,
            &["10.1.0.0/24", "fd00::/64"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}]], "routes": [{"dst": "10.9.0.0"}]}),
            7,
            &["dst", "10.9.0.0"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}]], "routes": [{"dst": "fd09::/32", "gw": "10.1.0.1"}]}),
            7,
            &["gw", "10.1.0.1", "fd09::/32"],
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}]], "resolvConf": "/nowhere/resolv.conf"}),
            5,
            &["resolvConf", "/nowhere/resolv.conf"],
        ),
    ]);
}

#[test]
fn static_addresses_are_checked() {
    let fixed = |addresses: Value| json!({"type": "static", "addresses": addresses});
    ipam_refused(&[
        (fixed(json!([{"address": "10.1.0.5"}])), 7, &["address", "10.1.0.5"]),
        (fixed(json!([{"address": "10.1.0.5/33"}])), 7, &["address", "10.1.0.5/33"]),
        (fixed(json!([{"gateway": "10.1.0.1"}])), 7, &["address"]),
        (
            fixed(json!([{"address": "10.1.0.5/24", "gateway": "fd00::1"}])),
            7,
            &["gateway", "fd00::1", "10.1.0.5/24"],
        ),
        (fixed(json!({"address": "10.1.0.5/24"})), 6, &["addresses"]),
    ]);
}

#[test]
fn addresses_that_cannot_be_given_are_named() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = bridge(&node, DUAL);
    let holder = node.pod();
    node.attach(&conf, &holder);
    let before = node.snapshot();
    for (asked, code, words) in [
        ("10.7.0.5", 7, &["10.7.0.5", "10.1.0.1-10.1.0.254"][..]),
        ("10.1.0.1", 7, &["10.1.0.1", "gateway"]),
        ("10.1.0.2", 101, &["10.1.0.2"]),
        ("fd00:1::2", 101, &["fd00:1::2"]),
        ("10.1.0.255", 7, &["10.1.0.255"]),
    ] {
        let ways = [
            with(conf.clone(), json!({"runtimeConfig": {"ips": [asked]}})),
            with(conf.clone(), json!({"args": {"cni": {"ips": [asked]}}})),
        ];
        for conf in ways {
            node.add(&conf, &pod, "eth0").fails().is(code, words);
        }
        let args = format!("IgnoreUnknown=1;IP={asked}");
        node.add_call(&conf, &pod, "eth0").args(&args).run().fails().is(code, words);
        before.assert_same(&node.snapshot());
    }
    // One that could be given does not excuse one that could not.
    let asked = with(conf.clone(), json!({"runtimeConfig": {"ips": ["10.1.0.9", "10.7.0.5"]}}));
    node.add(&asked, &pod, "eth0").fails().is(7, &["10.7.0.5"]);
    for odd in ["10.1.0", "10.1.0.5/99", "x"] {
        let asked = with(conf.clone(), json!({"runtimeConfig": {"ips": [odd]}}));
        let error = node.add(&asked, &pod, "eth0").fails();
        assert!(matches!(error.code, 6 | 7) && error.text().contains(odd), "{error}");
    }
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn arguments_are_known_or_ignored_by_request() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = bridge(&node, DUAL);
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    for (args, word) in [
        ("IP=10.1.0.9", "IP"),
        ("MAC=02:00:00:00:00:01", "MAC"),
        ("COLOUR=blue", "COLOUR"),
        ("IgnoreUnknown=0;COLOUR=blue", "COLOUR"),
        ("IgnoreUnknown=perhaps", "IgnoreUnknown"),
        ("IgnoreUnknown=1;MAC=02:00", "02:00"),
        ("IgnoreUnknown=1;MAC", "MAC"),
        ("IgnoreUnknown=1;A=b=c", "A=b=c"),
        ("IgnoreUnknown=1;IP=somewhere", "somewhere"),
    ] {
        let error = node.add_call(&conf, &pod, "eth0").args(args).run().fails();
        assert!(matches!(error.code, 4 | 7), "{args}: {error}");
        assert!(error.text().contains(word), "{args}: {error}");
        before.assert_same(&node.snapshot());
    }
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn a_name_that_belongs_to_something_else_is_not_made_a_bridge() {
    let (node, pod) = (Node::new(), Pod::new());
    node.del(&node.attach(&bridge(&node, DUAL), &pod)).ok();
    node.run(&["ip", "link", "add", "taken0", "type", "veth", "peer", "name", "taken1"]);
    let before = node.snapshot();
    for name in ["taken0", "lo"] {
        let conf = with(bridge(&node, DUAL), json!({"bridge": name}));
        node.add(&conf, &pod, "eth0").fails().is(101, &["bridge", name]);
    }
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn an_interface_that_exists_is_not_touched() {
    for conf in [bridge, ptp] {
        let (node, pod) = (Node::new(), Pod::new());
        node.del(&node.attach(&conf(&node, DUAL), &node.pod())).ok();
        pod.run(&["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other"]);
        let before = (node.snapshot(), pod.ip(&["addr"]));
        node.add(&conf(&node, DUAL), &pod, "eth0").fails().is(101, &["eth0"]);
        node.add(&conf(&node, DUAL), &pod, "lo").fails().is(101, &["lo"]);
        before.0.assert_same(&node.snapshot());
        assert_eq!(before.1, pod.ip(&["addr"]));
    }
}

#[test]
fn a_second_add_leaves_the_first_attachment_whole() {
    for conf in [bridge, ptp] {
        let (node, pod) = (Node::new(), Pod::new());
        let conf = with(conf(&node, DUAL), json!({"ipMasq": true}));
        let attached = node.attach(&conf, &pod);
        let before = node.snapshot();
        assert!(!node.add(&conf, &pod, "eth0").succeeded());
        before.assert_same(&node.snapshot());
        node.check(&attached).ok();
    }
}

#[test]
fn a_namespace_that_is_none_or_our_own_is_named() {
    for conf in [
        bridge,
        ptp,
        |_: &Node, _: &[&str]| json!({"cniVersion": "1.1.0", "name": "lo", "type": "loopback"}),
        |node: &Node, subnets: &[&str]| single(node, "macvlan", subnets),
    ] {
        let (node, pod) = (Node::new(), Pod::new());
        let conf = conf(&node, DUAL);
        node.del(&node.attach(&conf, &node.pod())).ok();
        let before = node.snapshot();
        let file = node.directory().join("plain");
        std::fs::write(&file, "").unwrap();
        let (file, own) = (file.to_str().unwrap().to_owned(), node.path().to_owned());
        for path in [
            "/nowhere/at/all",
            file.as_str(),
            "/proc/self/ns/net",
            own.as_str(),
            "/proc/self/ns/pid",
        ] {
            let call = node.add_call(&conf, &pod, "eth0").env("CNI_NETNS", path);
            call.run().fails().is(8, &[path]);
        }
        std::fs::remove_file(&file).unwrap();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn a_fifo_or_a_loop_for_a_namespace_holds_nobody_up() {
    let (node, pod) = (Node::new(), Pod::new());
    let path = |name: &str| node.directory().join(name).to_str().unwrap().to_owned();
    let (fifo, knot) = (path("fifo"), path("knot"));
    node.run(&["mkfifo", &fifo]);
    std::os::unix::fs::symlink(&knot, &knot).unwrap();
    let conf = bridge(&node, DUAL);
    for place in [&fifo, &knot] {
        let call = node.add_call(&conf, &pod, "eth0").env("CNI_NETNS", place);
        call.run().fails().is(8, &[place]);
        call.verb("DEL").run().ok();
    }
}

#[test]
fn our_own_namespace_is_served_when_the_runtime_insists() {
    let node = Node::new();
    let conf = json!({"cniVersion": "1.1.0", "name": "lo", "type": "loopback"});
    for word in ["TRUE", "true", "1"] {
        let call = node.add_call(&conf, &node.pod(), "lo").env("CNI_NETNS", node.path());
        call.env("CNI_NETNS_OVERRIDE", word).run().ok();
    }
}

#[test]
fn a_layer_2_attachment_has_no_result_in_the_oldest_versions() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = json!({"cniVersion": "0.2.0", "name": "net", "type": "bridge", "bridge": "br0"});
    node.run(&["ip", "link", "add", "br0", "type", "bridge"]);
    node.run(&["ip", "link", "set", "br0", "up"]);
    let before = node.snapshot();
    assert!(!node.add(&conf, &pod, "eth0").succeeded());
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn firewall_names_key_and_value() {
    let conf = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "firewall",
        "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.5/24"}]},
    });
    refused(
        |_, change| with(conf.clone(), change),
        &[
            (json!({"backend": "ipchains"}), 7, &["backend", "ipchains"]),
            (json!({"backend": 7}), 6, &["backend"]),
            (json!({"ingressPolicy": "closed"}), 7, &["ingressPolicy", "closed"]),
            (json!({"ingressPolicy": "same-bridge"}), 7, &["ingressPolicy", "same-bridge"]),
            (json!({"ingressPolicy": ["open"]}), 6, &["ingressPolicy"]),
            (json!({"firewalldZone": "a zone"}), 7, &["firewalldZone", "a zone"]),
            (json!({"firewalldZone": "z".repeat(18)}), 7, &["firewalldZone", "zzz"]),
            (json!({"iptablesAdminChainName": "a b"}), 7, &["iptablesAdminChainName", "a b"]),
            (json!({"iptablesAdminChainName": "-A"}), 7, &["iptablesAdminChainName", "-A"]),
            (json!({"iptablesAdminChainName": "FORWARD"}), 7, &["iptablesAdminChainName"]),
            (json!({"iptablesAdminChainName": "c".repeat(29)}), 7, &["iptablesAdminChainName"]),
            (json!({"iptablesAdminChainName": "a\n-F"}), 7, &["iptablesAdminChainName"]),
            (json!({"backend": "firewalld"}), 100, &["firewalld", "not running"]),
            (json!({"prevResult": null}), 7, &["prevResult"]),
        ],
    );
}
