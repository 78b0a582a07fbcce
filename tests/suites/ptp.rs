//! `ptp`: a routed veth, judged by `ip` and traffic.

use serde_json::{Value, json};
use testkit::{
    Attachment, Node, OUTSIDE_V4, OUTSIDE_V6, Pod, UPLINK_V4, UPLINK_V6, VERSIONS, ping, tcp,
};

use crate::conf::{DUAL, FAMILIES, host, ptp, with};

fn pair(conf: impl Fn(&Node) -> Value) -> (Node, [Pod; 2], [Attachment; 2]) {
    let node = Node::new();
    let conf = conf(&node);
    let pods = [node.pod(), node.pod()];
    let attached = [node.attach(&conf, &pods[0]), node.attach(&conf, &pods[1])];
    (node, pods, attached)
}

fn find<'a>(routes: &'a [Value], dst: &str) -> &'a Value {
    let found = routes.iter().find(|route| route["dst"] == dst);
    found.unwrap_or_else(|| panic!("no route to {dst}: {routes:?}"))
}

#[test]
fn every_version_is_served_from_add_to_del() {
    for version in VERSIONS {
        for subnets in FAMILIES {
            let (node, pod) = (Node::new(), Pod::new());
            let before = node.snapshot();
            let conf = with(ptp(&node, subnets), json!({"cniVersion": version}));
            let output = node.add(&conf, &pod, "eth0");
            assert_eq!(output.stderr, "", "{version}");
            let attached = node.attached(&conf, &pod, "eth0", &output);
            let mut want = attached.addresses();
            assert_eq!(want.len(), subnets.len());
            want.sort();
            assert_eq!(pod.addresses("eth0"), want, "{version}");
            assert!(attached.ips().iter().all(|ip| ping(&node, ip)), "{version}");
            if *version >= "0.4.0" {
                node.check(&attached).ok();
            }
            if *version >= "1.1.0" {
                node.status(&conf).ok();
                node.gc(&conf, &[&attached]).ok();
                assert!(pod.link("eth0").is_some());
            }
            node.del(&attached).ok();
            assert!(pod.link("eth0").is_none(), "{version}");
            assert_eq!(node.leased("net"), [""; 0], "{version}");
            for section in ["links", "addresses", "routes", "rules", "neighbours", "nft"] {
                assert_eq!(before.section(section), node.snapshot().section(section), "{version}");
            }
        }
    }
}

#[test]
fn the_result_names_host_veth_and_container_in_this_order() {
    let (node, pods, attached) = pair(|node| ptp(node, DUAL));
    for (pod, attached) in pods.iter().zip(&attached) {
        let interfaces = attached.result["interfaces"].as_array().unwrap();
        assert_eq!(interfaces.len(), 2);
        let veth = interfaces[0]["name"].as_str().unwrap();
        assert!(veth.starts_with("veth"), "{veth}");
        assert_eq!(node.link(veth).unwrap()["address"], interfaces[0]["mac"]);
        assert_eq!(interfaces[1]["name"], "eth0");
        assert_eq!(interfaces[1]["sandbox"], pod.path());
        assert_eq!(pod.link("eth0").unwrap()["address"], interfaces[1]["mac"]);
        let ips = attached.result["ips"].as_array().unwrap();
        assert!(ips.iter().all(|ip| ip["interface"] == 1), "{ips:?}");
        assert_eq!(attached.result["routes"], json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]));
    }
}

#[test]
fn both_ends_have_the_routes_of_a_point_to_point_link() {
    let (node, pods, attached) = pair(|node| ptp(node, DUAL));
    let veth = attached[0].host_link();
    for (family, at, gateway, subnet) in
        [("-4", 0, "10.1.0.1", "10.1.0.0/24"), ("-6", 1, "fd00:1::1", "fd00:1::/64")]
    {
        let inside = pods[0].routes(family, "main");
        let to_gateway = find(&inside, gateway);
        assert_eq!(to_gateway["dev"], "eth0");
        assert!(to_gateway["gateway"].is_null());
        assert_eq!(find(&inside, subnet)["gateway"], gateway);
        assert_eq!(find(&inside, "default")["gateway"], gateway);
        let outside = node.routes(family, "main");
        assert_eq!(find(&outside, &attached[0].ips()[at])["dev"], veth.as_str());
    }
    assert_eq!(find(&pods[0].routes("-4", "main"), "10.1.0.1")["scope"], "link");
    assert_eq!(node.addresses(&veth), ["10.1.0.1/32", "fd00:1::1/128"]);
    assert_eq!(node.sysctl("net/ipv4/ip_forward"), "1");
    assert_eq!(node.sysctl("net/ipv6/conf/all/forwarding"), "1");
}

#[test]
fn pods_reach_pods_the_node_reaches_pods_and_a_pod_sees_itself_as_others_do() {
    for subnets in FAMILIES {
        let (node, pods, attached) = pair(|node| ptp(node, subnets));
        let [a, b] = &pods;
        for (at, subnet) in subnets.iter().enumerate() {
            let [own, other] = [&attached[0], &attached[1]].map(|x| x.ips()[at].clone());
            assert!(ping(a, &other) && ping(b, &own) && ping(&node, &own) && ping(&node, &other));
            assert_eq!(tcp(a, b, &other).unwrap().to_string(), own);
            assert_eq!(tcp(a, a, &own).unwrap().to_string(), own);
            assert_eq!(tcp(&node, a, &own).unwrap().to_string(), host(subnet, 1));
            assert_eq!(tcp(a, &node, &host(subnet, 1)).unwrap().to_string(), own);
        }
    }
}

#[test]
fn the_world_sees_the_node_where_a_pod_is_masqueraded() {
    let (node, pods, attached) = pair(|node| with(ptp(node, DUAL), json!({"ipMasq": true})));
    let outside = node.outside();
    outside.run(&["ip", "route", "add", "10.1.0.0/24", "via", UPLINK_V4]);
    outside.run(&["ip", "route", "add", "fd00:1::/64", "via", UPLINK_V6]);
    let [a, b] = &pods;
    for (at, to, uplink) in [(0, OUTSIDE_V4, UPLINK_V4), (1, OUTSIDE_V6, UPLINK_V6)] {
        let [own, other] = [&attached[0], &attached[1]].map(|x| x.ips()[at].clone());
        assert_eq!(tcp(a, &outside, to).unwrap().to_string(), uplink);
        assert_eq!(tcp(a, b, &other).unwrap().to_string(), own);
        assert_eq!(tcp(&outside, a, &own).unwrap().to_string(), to);
    }
    node.check(&attached[0]).ok();
}

#[test]
fn the_mtu_is_that_of_both_ends() {
    let (node, pods, attached) = pair(|node| with(ptp(node, DUAL), json!({"mtu": 1400})));
    assert_eq!(node.link(&attached[0].host_link()).unwrap()["mtu"], 1400);
    assert_eq!(pods[0].link("eth0").unwrap()["mtu"], 1400);
}

#[test]
fn a_resolver_of_the_configuration_replaces_that_of_the_ipam() {
    let node = Node::new();
    let file = node.directory().join("resolv.conf");
    std::fs::write(&file, "nameserver 10.1.0.53\n").unwrap();
    let mut conf = ptp(&node, DUAL);
    conf["ipam"]["resolvConf"] = json!(file);
    let from_ipam = node.attach(&conf, &node.pod()).result;
    assert_eq!(from_ipam["dns"], json!({"nameservers": ["10.1.0.53"]}));
    let own = json!({"domain": "c.example"});
    let conf = with(conf, json!({"dns": own}));
    assert_eq!(node.attach(&conf, &node.pod()).result["dns"], own);
}

#[test]
fn the_host_end_takes_no_word_from_the_pod_for_a_router() {
    // CVE-2020-10749: a pod's router advertisement must not change the node's routes.
    let (node, _pods, attached) = pair(|node| ptp(node, DUAL));
    let name = format!("net/ipv6/conf/{}/accept_ra", attached[0].host_link());
    assert_eq!(node.sysctl(&name), "0");
}

#[test]
fn the_first_packet_finds_the_pod_when_add_returns() {
    let (node, pods, attached) = pair(|node| ptp(node, DUAL));
    assert_eq!(pods[1].link("eth0").unwrap()["operstate"], "UP");
    // The node asks for a pod's neighbour from its end's link-local address; one that is still
    // tentative would hold up what it forwards.
    assert!(node.is_settled(&attached[1].host_link()));
}

#[test]
fn without_ipam_there_is_a_bare_link_that_is_up() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "ptp"});
    let before = node.snapshot();
    let attached = node.attach(&conf, &pod);
    assert_eq!(attached.result["ips"], Value::Null);
    for link in [node.link(&attached.host_link()), pod.link("eth0")] {
        assert!(link.unwrap()["flags"].as_array().unwrap().contains(&json!("UP")));
    }
    node.check(&attached).ok();
    node.status(&conf).ok();
    node.gc(&conf, &[&attached]).ok();
    node.check(&attached).ok();
    node.del(&attached).ok();
    before.assert_same(&node.snapshot());
}

#[test]
fn routes_have_the_attributes_of_version_1_1() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = ptp(&node, DUAL);
    conf["ipam"]["routes"] = json!([
        {"dst": "10.8.0.0/16", "mtu": 1380, "advmss": 1300, "priority": 77},
        {"dst": "fd09::/32", "table": 101},
    ]);
    let attached = node.attach(&conf, &pod);
    let inside = pod.routes("-4", "main");
    let route = find(&inside, "10.8.0.0/16");
    assert_eq!(route["metrics"], json!([{"mtu": 1380, "advmss": 1300}]), "{route}");
    assert_eq!((&route["metric"], &route["gateway"]), (&json!(77), &json!("10.1.0.1")));
    assert_eq!(find(&pod.routes("-6", "101"), "fd09::/32")["gateway"], "fd00:1::1");
    node.check(&attached).ok();
}

#[test]
fn check_names_what_is_gone() {
    let damages: &[(&[&str], &str)] = &[
        (&["ip", "addr", "del", "10.1.0.2/24", "dev", "eth0"], "10.1.0.2"),
        (&["ip", "addr", "del", "fd00:1::2/64", "dev", "eth0"], "fd00:1::2"),
        (&["ip", "route", "del", "default"], "0.0.0.0/0"),
        (&["ip", "link", "del", "eth0"], "eth0"),
    ];
    for (damage, word) in damages {
        let (node, pod) = (Node::new(), Pod::new());
        let attached = node.attach(&ptp(&node, DUAL), &pod);
        node.check(&attached).ok();
        pod.run(damage);
        let error = node.check(&attached).fails();
        assert!(error.text().contains(word), "{damage:?}: {error}");
    }
    // The way back is on the host's side.
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&ptp(&node, DUAL), &pod);
    node.run(&["ip", "route", "del", "10.1.0.2"]);
    assert!(node.check(&attached).fails().text().contains("10.1.0.2"));
}

#[test]
fn gc_removes_what_is_not_listed_and_no_more() {
    let node = Node::new();
    let conf = with(ptp(&node, DUAL), json!({"ipMasq": true}));
    let pods = [node.pod(), node.pod(), node.pod()];
    let kept = node.attach(&conf, &pods[0]);
    let before = node.snapshot();
    node.attach(&conf, &pods[1]);
    node.attach(&conf, &pods[2]);
    node.gc(&conf, &[&kept]).ok();
    before.assert_same(&node.snapshot());
    assert!(ping(&node, &kept.ip()));
}
