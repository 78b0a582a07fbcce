//! Results: the shape of each version, and that they say what the kernel has.

use serde_json::{Value, json};
use testkit::{Node, VERSIONS, need, ping, tcp};

use super::Pair;
use crate::conf::{DUAL, FAMILIES, bridge, defaults, guarded, host, with};

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn every_version_is_served_from_add_to_del() {
    for version in VERSIONS {
        for subnets in FAMILIES {
            let (node, pod) = (Node::new(), testkit::Pod::new());
            let conf = with(bridge(&node, subnets), json!({"cniVersion": version}));
            let output = node.add(&conf, &pod, "eth0");
            assert_eq!(output.stderr, "", "{version}");
            let attached = node.attached(&conf, &pod, "eth0", &output);
            let mut want: Vec<String> = subnets
                .iter()
                .map(|s| format!("{}/{}", host(s, 2), s.split('/').nth(1).unwrap()))
                .collect();
            assert_eq!(attached.addresses(), want, "{version}");
            want.sort();
            assert_eq!(pod.addresses("eth0"), want, "{version}");
            let veth = node.links().into_iter().find(|l| l.starts_with("veth")).unwrap();
            assert_eq!(node.link(&veth).unwrap()["master"], "br0");
            assert!(ping(&node, &attached.ip()), "{version}: the node does not reach the pod");
            if *version >= "0.4.0" {
                assert_eq!(node.check(&attached).ok(), Value::Null);
            }
            if *version >= "1.1.0" {
                assert_eq!(node.status(&conf).ok(), Value::Null);
                assert_eq!(node.gc(&conf, &[&attached]).ok(), Value::Null);
                assert!(pod.link("eth0").is_some());
            }
            assert_eq!(node.del(&attached).ok(), Value::Null);
            assert!(pod.link("eth0").is_none() && node.link(&veth).is_none(), "{version}");
            assert_eq!(node.leased("net"), [""; 0], "{version}");
        }
    }
}

#[test]
fn the_oldest_versions_know_one_address_of_each_family() {
    for version in ["0.1.0", "0.2.0"] {
        let (node, pod) = (Node::new(), testkit::Pod::new());
        let mut conf = with(bridge(&node, DUAL), json!({"cniVersion": version}));
        conf["ipam"]["routes"] = defaults(DUAL);
        let result = node.attach(&conf, &pod).result;
        assert_eq!(keys(&result), ["cniVersion", "dns", "ip4", "ip6"]);
        assert_eq!(result["cniVersion"], version);
        assert_eq!(result["dns"], json!({}));
        for (family, address, gateway, dst) in [
            ("ip4", "10.1.0.2/24", "10.1.0.1", "0.0.0.0/0"),
            ("ip6", "fd00:1::2/64", "fd00:1::1", "::/0"),
        ] {
            let part = &result[family];
            assert_eq!(part["ip"], address);
            assert_eq!(part["gateway"], gateway);
            assert_eq!(part["routes"][0]["dst"], dst);
            assert_eq!(part["routes"].as_array().unwrap().len(), 1);
        }
    }
}

#[test]
fn the_middle_versions_number_the_family_of_an_address() {
    for version in ["0.3.0", "0.3.1", "0.4.0"] {
        let (node, pod) = (Node::new(), testkit::Pod::new());
        let conf = with(bridge(&node, DUAL), json!({"cniVersion": version}));
        let result = node.attach(&conf, &pod).result;
        assert_eq!(keys(&result), ["cniVersion", "dns", "interfaces", "ips"]);
        assert_eq!(result["dns"], json!({}));
        assert_eq!(
            result["ips"],
            json!([
                {"version": "4", "interface": 2, "address": "10.1.0.2/24", "gateway": "10.1.0.1"},
                {"version": "6", "interface": 2, "address": "fd00:1::2/64", "gateway": "fd00:1::1"},
            ])
        );
        for interface in result["interfaces"].as_array().unwrap() {
            let odd = keys(interface).into_iter().find(|k| !["mac", "name", "sandbox"].contains(k));
            assert_eq!(odd, None, "{interface}");
        }
    }
}

#[test]
fn the_newest_versions_leave_out_what_is_empty() {
    for version in ["1.0.0", "1.1.0"] {
        let (node, pod) = (Node::new(), testkit::Pod::new());
        let conf = with(bridge(&node, DUAL), json!({"cniVersion": version}));
        let result = node.attach(&conf, &pod).result;
        assert_eq!(keys(&result), ["cniVersion", "interfaces", "ips"]);
        assert_eq!(
            result["ips"],
            json!([
                {"interface": 2, "address": "10.1.0.2/24", "gateway": "10.1.0.1"},
                {"interface": 2, "address": "fd00:1::2/64", "gateway": "fd00:1::1"},
            ])
        );
    }
}

#[test]
fn interfaces_come_as_bridge_host_veth_container() {
    let pair = Pair::new(|node| bridge(node, DUAL));
    for (pod, attached) in pair.pods.iter().zip(&pair.attached) {
        let interfaces = attached.result["interfaces"].as_array().unwrap();
        assert_eq!(interfaces.len(), 3);
        let names: Vec<&str> = interfaces.iter().map(|i| i["name"].as_str().unwrap()).collect();
        let (bridge, veth) = (names[0], names[1]);
        assert_eq!((bridge, names[2]), ("br0", "eth0"));
        let hex = veth.strip_prefix("veth").expect("a name that others take for a veth");
        assert!(hex.len() >= 8 && hex.chars().all(|c| c.is_ascii_hexdigit()), "{veth}");
        assert_eq!(interfaces[2]["sandbox"], pod.path());
        for (link, shown) in
            [(pair.node.link(veth), &interfaces[1]), (pod.link("eth0"), &interfaces[2])]
        {
            assert_eq!(link.unwrap()["address"], shown["mac"]);
        }
        assert!(interfaces[..2].iter().all(|i| i["sandbox"].as_str().unwrap_or("").is_empty()));
    }
    // The bridge has an address and therefore keeps its MAC when ports come and go.
    let mac = pair.node.link("br0").unwrap()["address"].clone();
    assert_eq!(pair.attached[0].result["interfaces"][0]["mac"], mac);
    assert_eq!(pair.attached[1].result["interfaces"][0]["mac"], mac);
}

#[test]
fn pods_reach_pods_the_node_reaches_pods_and_a_pod_sees_itself_as_others_do() {
    for subnets in FAMILIES {
        let pair = Pair::new(|node| bridge(node, subnets));
        let [a, b] = &pair.pods;
        for (at, subnet) in subnets.iter().enumerate() {
            let [own, other] = [&pair.attached[0], &pair.attached[1]].map(|x| x.ips()[at].clone());
            assert!(ping(a, &other) && ping(b, &own));
            assert!(ping(&pair.node, &own) && ping(&pair.node, &other));
            assert_eq!(tcp(a, b, &other).unwrap().to_string(), own);
            assert_eq!(tcp(a, a, &own).unwrap().to_string(), own);
            assert_eq!(tcp(&pair.node, a, &own).unwrap().to_string(), host(subnet, 1));
            assert_eq!(tcp(a, &pair.node, &host(subnet, 1)).unwrap().to_string(), own);
        }
    }
}

#[test]
fn a_resolver_of_the_configuration_replaces_that_of_the_ipam() {
    let node = Node::new();
    let file = node.directory().join("resolv.conf");
    std::fs::write(&file, "nameserver 10.1.0.53\nsearch a.example b.example\noptions ndots:5\n")
        .unwrap();
    let mut conf = bridge(&node, DUAL);
    conf["ipam"]["resolvConf"] = json!(file);
    let from_ipam = node.attach(&conf, &node.pod()).result;
    let want = json!({
        "nameservers": ["10.1.0.53"], "search": ["a.example", "b.example"], "options": ["ndots:5"],
    });
    assert_eq!(from_ipam["dns"], want);
    let own = json!({"nameservers": ["10.1.0.54"], "domain": "c.example"});
    let conf = with(conf, json!({"dns": own}));
    assert_eq!(node.attach(&conf, &node.pod()).result["dns"], own);
}

#[test]
fn gc_removes_what_is_not_listed_and_no_more() {
    need!(Nft);
    let node = Node::new();
    let conf = guarded(&node);
    let pods = [node.pod(), node.pod(), node.pod()];
    let other = with(bridge(&node, &["10.2.0.0/24"]), json!({"name": "other", "bridge": "br1"}));
    let stranger = node.attach(&other, &pods[0]);
    let kept = node.attach_as(&conf, &pods[0], "net1");
    let before = node.snapshot();
    node.attach(&conf, &pods[1]);
    node.attach(&conf, &pods[2]);
    node.gc(&conf, &[&kept]).ok();
    before.assert_same(&node.snapshot());
    assert!(ping(&node, &kept.ip()) && ping(&node, &stranger.ip()));
    // A missing key says nothing about what is valid.
    node.call("bridge").verb("GC").conf(&conf).run().ok();
    before.assert_same(&node.snapshot());
    node.gc(&conf, &[]).ok();
    assert_eq!(node.leased("net"), [""; 0]);
    assert!(pods[0].link("net1").is_none() && pods[0].link("eth0").is_some());
    assert_eq!(node.leased("other"), ["10.2.0.2"]);
}

#[test]
fn status_is_fifty_when_an_add_would_fail() {
    let node = Node::new();
    let conf = bridge(&node, &["10.1.0.0/30"]);
    node.status(&conf).ok();
    node.attach(&conf, &node.pod());
    node.status(&conf).fails().is(50, &["10.1.0"]);
    let foreign = with(bridge(&node, DUAL), json!({"bridge": "lo", "name": "other"}));
    node.status(&foreign).fails().is(50, &["lo"]);
    let mut missing = bridge(&node, DUAL);
    missing["ipam"]["type"] = json!("nowhere");
    node.status(&missing).fails().is(50, &["nowhere"]);
}
