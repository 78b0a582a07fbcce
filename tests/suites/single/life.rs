//! From ADD to DEL when nothing goes wrong.

use serde_json::{Value, json};
use testkit::{Feature, Node, Pod, VERSIONS};

use crate::conf::{DUAL, FAMILIES, single, with};

/// The kernel's word for a plugin's kind.
pub fn word(kind: &str) -> &str {
    if kind == "tap" { "tun" } else { kind }
}

/// The files of the records.
pub fn records(node: &Node) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(node.directory().join("links")) else { return Vec::new() };
    let texts = entries.map(|e| std::fs::read_to_string(e.expect("an entry").path()));
    texts.map(|text| text.expect("a record")).collect()
}

pub fn every_version_is_served_from_add_to_del(kind: &str) {
    // A processor that is emulated would take minutes for all of them.
    let versions = if Feature::Speed.missing().is_some() { &["0.2.0", "1.1.0"] } else { VERSIONS };
    for version in versions {
        for subnets in FAMILIES {
            let (node, pod) = (Node::new(), Pod::new());
            let conf = with(single(&node, kind, subnets), json!({"cniVersion": version}));
            let before = node.snapshot();
            let output = node.add(&conf, &pod, "eth0");
            assert_eq!(output.stderr, "", "{version}");
            let attached = node.attached(&conf, &pod, "eth0", &output);
            let mut want = attached.addresses();
            assert_eq!(want.len(), subnets.len());
            want.sort();
            assert_eq!(pod.addresses("eth0"), want, "{version}");
            if *version >= "0.4.0" {
                node.check(&attached).ok();
            }
            if *version >= "1.1.0" {
                node.status(&conf).ok();
                node.gc(&conf, &[&attached]).ok();
                assert!(pod.link("eth0").is_some());
            }
            node.del(&attached).ok();
            assert_eq!(pod.links(), ["lo"], "{version}");
            assert_eq!(node.leased("net"), [""; 0], "{version}");
            assert_eq!(records(&node), [""; 0], "{version}");
            for section in ["links", "addresses", "routes", "rules", "neighbours", "nft"] {
                assert_eq!(before.section(section), node.snapshot().section(section), "{version}");
            }
        }
    }
}

pub fn the_result_names_the_one_interface(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&single(&node, kind, DUAL), &pod);
    let link = pod.link("eth0").unwrap();
    let own = json!({
        "name": "eth0", "mac": link["address"], "sandbox": pod.path(), "mtu": link["mtu"],
    });
    assert_eq!(attached.result["interfaces"], json!([own]));
    let ips = attached.result["ips"].as_array().unwrap();
    assert!(ips.iter().all(|ip| ip["interface"] == 0), "{ips:?}");
    assert_eq!(attached.result["routes"], json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]));
    assert_eq!(link["linkinfo"]["info_kind"], word(kind));
    assert_eq!(pod.sysctl("net/ipv4/conf/eth0/arp_notify"), "1");
    assert_eq!(pod.sysctl("net/ipv6/conf/eth0/ndisc_notify"), "1");
    for (family, gateway) in [("-4", "10.1.0.1"), ("-6", "fd00:1::1")] {
        let routes = pod.routes(family, "main");
        let default = routes.iter().find(|route| route["dst"] == "default").unwrap();
        assert_eq!(default["gateway"], gateway);
    }
}

pub fn the_link_is_marked_and_recorded_until_del(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&single(&node, kind, DUAL), &pod);
    let alias = format!("podwire:net:{}:eth0", pod.id);
    assert_eq!(pod.link("eth0").unwrap()["ifalias"], alias);
    let all = records(&node);
    let [record] = all.as_slice() else { panic!("{all:?}") };
    let record: Value = serde_json::from_str(record).unwrap();
    assert_eq!((&record["network"], &record["container"]), (&json!("net"), &json!(pod.id)));
    assert_eq!((&record["netns"], &record["kind"]), (&json!(pod.path()), &json!(word(kind))));
    node.del(&attached).ok();
    assert_eq!(records(&node), [""; 0]);
}

pub fn without_ipam_there_is_a_link_that_is_up(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, kind, DUAL), json!({"ipam": {}}));
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    let attached = node.attach(&conf, &pod);
    assert_eq!(attached.result["ips"], Value::Null);
    assert!(pod.link("eth0").unwrap()["flags"].as_array().unwrap().contains(&json!("UP")));
    // Whoever brings addresses along decides how.
    assert_ne!(pod.sysctl("net/ipv6/conf/eth0/accept_dad"), "0");
    node.check(&attached).ok();
    node.status(&conf).ok();
    node.gc(&conf, &[&attached]).ok();
    node.check(&attached).ok();
    node.del(&attached).ok();
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
}

pub fn the_resolver_of_the_ipam_is_kept_unless_the_configuration_has_one(kind: &str) {
    let node = Node::new();
    let file = node.directory().join("resolv.conf");
    std::fs::write(&file, "nameserver 10.1.0.53\n").unwrap();
    let mut conf = single(&node, kind, DUAL);
    conf["ipam"]["resolvConf"] = json!(file);
    let pod = node.pod();
    let attached = node.attach(&conf, &pod);
    assert_eq!(attached.result["dns"], json!({"nameservers": ["10.1.0.53"]}));
    node.del(&attached).ok();
    let own = json!({"domain": "c.example"});
    let conf = with(conf, json!({"dns": own}));
    assert_eq!(node.attach(&conf, &pod).result["dns"], own);
}

pub fn routes_have_the_attributes_of_version_1_1(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = single(&node, kind, DUAL);
    conf["ipam"]["routes"] = json!([
        {"dst": "10.8.0.0/16", "mtu": 1380, "advmss": 1300, "priority": 77},
        {"dst": "fd09::/32", "table": 101},
    ]);
    let attached = node.attach(&conf, &pod);
    let inside = pod.routes("-4", "main");
    let route = inside.iter().find(|route| route["dst"] == "10.8.0.0/16").unwrap();
    assert_eq!(route["metrics"], json!([{"mtu": 1380, "advmss": 1300}]), "{route}");
    assert_eq!((&route["metric"], &route["gateway"]), (&json!(77), &json!("10.1.0.1")));
    assert!(pod.routes("-6", "101").iter().any(|route| route["dst"] == "fd09::/32"));
    node.check(&attached).ok();
}

pub fn a_second_add_leaves_the_first_attachment_whole(kind: &str) {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, kind, DUAL);
    let attached = node.attach(&conf, &pod);
    let before = node.snapshot();
    node.add(&conf, &pod, "eth0").fails().is(101, &["eth0"]);
    before.assert_same(&node.snapshot());
    assert_eq!(records(&node).len(), 1);
    node.check(&attached).ok();
}
