//! `host-local` and `static`, called as another plugin would call them.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, VERSIONS};

use crate::conf::{DUAL, FAMILIES, with};

/// A configuration whose `type` is the IPAM executable itself, so that the runtime calls it.
fn host_local(node: &Node, subnets: &[&str]) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "host-local", "ipam": node.host_local(subnets),
    })
}

fn fixed(addresses: &Value) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "static",
        "ipam": {"type": "static", "addresses": addresses},
    })
}

#[test]
fn host_local_serves_every_version() {
    for version in VERSIONS {
        for subnets in FAMILIES {
            let (node, pod) = (Node::new(), Pod::new());
            let conf = with(host_local(&node, subnets), json!({"cniVersion": version}));
            let attached = node.attach(&conf, &pod);
            assert_eq!(attached.result["cniVersion"], *version);
            assert_eq!(attached.result["interfaces"], Value::Null);
            let mut ips = attached.ips();
            assert_eq!(ips.len(), subnets.len());
            ips.sort();
            assert_eq!(node.leased("net"), ips);
            if *version >= "0.4.0" {
                node.check(&attached).ok();
            }
            if *version >= "1.1.0" {
                node.status(&conf).ok();
                node.gc(&conf, &[&attached]).ok();
                assert_eq!(node.leased("net"), ips);
            }
            node.del(&attached).ok();
            node.del(&attached).ok();
            assert_eq!(node.leased("net"), [""; 0], "{version}");
        }
    }
}

#[test]
fn static_serves_every_version() {
    for version in VERSIONS {
        let (node, pod) = (Node::new(), Pod::new());
        let before = node.snapshot();
        let conf = fixed(&json!([
            {"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00:1::5/64"},
        ]));
        let conf = with(conf, json!({"cniVersion": version}));
        let attached = node.attach(&conf, &pod);
        assert_eq!(attached.addresses(), ["10.1.0.5/24", "fd00:1::5/64"]);
        if *version >= "0.4.0" {
            node.check(&attached).ok();
        }
        if *version >= "1.1.0" {
            node.status(&conf).ok();
            node.gc(&conf, &[]).ok();
        }
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn a_lease_is_a_file_as_the_reference_writes_it() {
    let (node, pod) = (Node::new(), Pod::new());
    node.attach(&host_local(&node, DUAL), &pod);
    for address in ["10.1.0.2", "fd00:1::2"] {
        let lease = std::fs::read_to_string(format!("{}/net/{address}", node.leases())).unwrap();
        assert_eq!(lease, format!("{}\r\neth0", pod.id));
    }
    let last = |n| std::fs::read_to_string(format!("{}/net/last_reserved_ip.{n}", node.leases()));
    assert_eq!((last(0).unwrap(), last(1).unwrap()), ("10.1.0.2".into(), "fd00:1::2".into()));
    assert!(std::path::Path::new(&format!("{}/net/lock", node.leases())).exists());
}

#[test]
fn addresses_go_round_before_one_comes_again() {
    let node = Node::new();
    let conf = host_local(&node, &["10.1.0.0/29"]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let attached = node.attach(&conf, &node.pod());
        seen.push(attached.ip());
        node.del(&attached).ok();
    }
    let round = ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.2"];
    assert_eq!(seen, round);
}

#[test]
fn a_full_range_is_named_and_served_again_when_one_leaves() {
    let node = Node::new();
    let conf = host_local(&node, &["10.1.0.0/29"]);
    let attached: Vec<Attachment> = (0..5).map(|_| node.attach(&conf, &node.pod())).collect();
    node.add(&conf, &node.pod(), "eth0").fails().is(102, &["10.1.0.1-10.1.0.6"]);
    node.status(&conf).fails().is(50, &["10.1.0.1-10.1.0.6"]);
    node.del(&attached[3]).ok();
    node.status(&conf).ok();
    assert_eq!(node.attach(&conf, &node.pod()).ip(), attached[3].ip());
}

#[test]
fn a_lease_that_a_crash_left_empty_is_used_again() {
    let node = Node::new();
    let conf = host_local(&node, &["10.1.0.0/30"]);
    std::fs::create_dir_all(format!("{}/net", node.leases())).unwrap();
    std::fs::write(format!("{}/net/10.1.0.2", node.leases()), "").unwrap();
    std::fs::write(format!("{}/net/last_reserved_ip.0", node.leases()), "").unwrap();
    node.status(&conf).ok();
    let attached = node.attach(&conf, &node.pod());
    assert_eq!(attached.ip(), "10.1.0.2");
    node.check(&attached).ok();
}

#[test]
fn a_lease_of_one_line_belongs_to_every_interface_of_its_container() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = host_local(&node, &["10.1.0.0/24"]);
    std::fs::create_dir_all(format!("{}/net", node.leases())).unwrap();
    std::fs::write(format!("{}/net/10.1.0.9", node.leases()), &pod.id).unwrap();
    node.del(&node.unheard(&conf, &pod)).ok();
    assert_eq!(node.leased("net"), [""; 0]);
}

#[test]
fn one_attachment_has_one_lease() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = host_local(&node, &["10.1.0.0/24"]);
    let attached = node.attach(&conf, &pod);
    let error = node.add(&conf, &pod, "eth0").fails();
    assert!(error.text().contains("10.1.0.2"), "{error}");
    assert_eq!(node.leased("net"), ["10.1.0.2"]);
    node.check(&attached).ok();
    node.attach_as(&conf, &pod, "net1");
    node.del(&attached).ok();
    assert_eq!(node.leased("net"), ["10.1.0.3"]);
}

#[test]
fn static_takes_addresses_from_the_nearest_source() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = fixed(&json!([{"address": "10.1.0.5/24"}]));
    let add = |conf: &Value, args: &str| {
        let output = node.add_call(conf, &pod, "eth0").args(args).run();
        node.attached(conf, &pod, "eth0", &output)
    };
    let args = "IP=10.1.0.6/24,fd00:1::6/64;GATEWAY=10.1.0.1,fd00:1::1";
    let attached = add(&conf, args);
    assert_eq!(attached.addresses(), ["10.1.0.5/24", "10.1.0.6/24", "fd00:1::6/64"]);
    assert_eq!(attached.result["ips"][1]["gateway"], "10.1.0.1");
    assert_eq!(attached.result["ips"][2]["gateway"], "fd00:1::1");
    let asked = with(conf, json!({"args": {"cni": {"ips": ["10.1.0.7/24"]}}}));
    assert_eq!(add(&asked, "").addresses(), ["10.1.0.7/24"]);
    let asked = with(asked, json!({"runtimeConfig": {"ips": ["10.1.0.8/24"]}}));
    assert_eq!(add(&asked, "").addresses(), ["10.1.0.8/24"]);
}

#[test]
fn static_returns_routes_and_resolver_as_written() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = fixed(&json!([{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}]));
    let routes = json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.9", "mtu": 1400, "table": 7}]);
    let dns = json!({"nameservers": ["10.1.0.53"], "domain": "a.example", "search": ["b.example"]});
    conf["ipam"]["routes"] = routes.clone();
    conf["ipam"]["dns"] = dns.clone();
    let result = node.attach(&conf, &pod).result;
    assert_eq!((&result["routes"], &result["dns"]), (&routes, &dns));
}
