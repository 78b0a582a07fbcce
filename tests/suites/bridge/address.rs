//! Gateways, routes, MACs, and addresses that were asked for.

use serde_json::{Value, json};
use testkit::{Node, Pod, ping};

use crate::conf::{DUAL, bridge, defaults, with};

fn route(pod: &Pod, family: &str, table: &str, dst: &str) -> Value {
    let routes = pod.routes(family, table);
    let found = routes.iter().find(|route| route["dst"] == dst);
    found.unwrap_or_else(|| panic!("no route to {dst}: {routes:?}")).clone()
}

#[test]
fn without_is_gateway_the_bridge_has_no_address() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(bridge(&node, DUAL), json!({"isGateway": false}));
    let attached = node.attach(&conf, &pod);
    assert_eq!(node.addresses("br0"), [""; 0]);
    assert_eq!(node.sysctl("net/ipv4/ip_forward"), "0");
    let flags = node.link("br0").unwrap()["flags"].clone();
    assert!(flags.as_array().unwrap().contains(&json!("UP")), "{flags}");
    node.check(&attached).ok();
}

#[test]
fn a_gateway_has_an_address_and_forwards_the_families_it_serves() {
    for (subnets, v4, v6) in [(&DUAL[..1], "1", "0"), (&DUAL[1..], "0", "1"), (DUAL, "1", "1")] {
        let (node, pod) = (Node::new(), Pod::new());
        node.attach(&bridge(&node, subnets), &pod);
        let wanted: Vec<&str> = subnets
            .iter()
            .map(|s| if s.contains(':') { "fd00:1::1/64" } else { "10.1.0.1/24" })
            .collect();
        assert_eq!(node.addresses("br0"), wanted);
        assert_eq!(node.sysctl("net/ipv4/ip_forward"), v4);
        assert_eq!(node.sysctl("net/ipv6/conf/all/forwarding"), v6);
        assert!(pod.routes("-4", "main").iter().all(|r| r["dst"] != "default"));
        assert_eq!(node.sysctl("net/ipv6/conf/br0/accept_ra"), "0");
    }
}

#[test]
fn a_default_gateway_gives_a_default_route_for_each_family() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(bridge(&node, DUAL), json!({"isGateway": false, "isDefaultGateway": true}));
    let attached = node.attach(&conf, &pod);
    assert_eq!(
        attached.result["routes"],
        json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "::/0", "gw": "fd00:1::1"}])
    );
    assert_eq!(route(&pod, "-4", "main", "default")["gateway"], "10.1.0.1");
    assert_eq!(route(&pod, "-6", "main", "default")["gateway"], "fd00:1::1");
    assert_eq!(node.addresses("br0"), ["10.1.0.1/24", "fd00:1::1/64"]);
    node.check(&attached).ok();
}

#[test]
fn a_default_route_of_the_ipam_with_a_gateway_stands() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = with(bridge(&node, &DUAL[..1]), json!({"isDefaultGateway": true}));
    conf["ipam"]["routes"] = json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.77"}]);
    let attached = node.attach(&conf, &pod);
    assert_eq!(attached.result["routes"], json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.77"}]));
    assert_eq!(route(&pod, "-4", "main", "default")["gateway"], "10.1.0.77");
}

#[test]
fn a_route_without_a_gateway_goes_by_that_of_its_family() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = bridge(&node, DUAL);
    conf["ipam"]["routes"] = defaults(DUAL);
    node.attach(&conf, &pod);
    assert_eq!(route(&pod, "-4", "main", "default")["gateway"], "10.1.0.1");
    assert_eq!(route(&pod, "-6", "main", "default")["gateway"], "fd00:1::1");
}

#[test]
fn routes_have_the_attributes_of_version_1_1() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = bridge(&node, DUAL);
    conf["ipam"]["routes"] = json!([
        {"dst": "10.8.0.0/16", "mtu": 1380, "advmss": 1300, "priority": 77},
        {"dst": "10.9.0.0/16", "gw": "10.1.0.9", "table": 100, "scope": 0},
        {"dst": "fd08::/32", "mtu": 1390, "advmss": 1310, "priority": 78},
        {"dst": "fd09::/32", "gw": "fd00:1::9", "table": 101},
    ]);
    let attached = node.attach(&conf, &pod);
    for (family, dst, mtu, advmss, metric) in
        [("-4", "10.8.0.0/16", 1380, 1300, 77), ("-6", "fd08::/32", 1390, 1310, 78)]
    {
        let route = route(&pod, family, "main", dst);
        assert_eq!(route["metric"], metric, "{route}");
        assert_eq!(route["metrics"], json!([{"mtu": mtu, "advmss": advmss}]), "{route}");
    }
    assert_eq!(route(&pod, "-4", "100", "10.9.0.0/16")["gateway"], "10.1.0.9");
    assert_eq!(route(&pod, "-6", "101", "fd09::/32")["gateway"], "fd00:1::9");
    assert_eq!(attached.result["routes"], conf["ipam"]["routes"]);
    node.check(&attached).ok();
}

#[test]
fn without_any_gateway_a_route_is_on_the_link() {
    let (node, pod) = (Node::new(), Pod::new());
    let ipam = json!({
        "type": "static", "addresses": [{"address": "10.1.0.5/24"}, {"address": "fd00:1::5/64"}],
        "routes": [{"dst": "10.9.0.0/16", "scope": 253}, {"dst": "fd09::/32"}],
    });
    let conf = with(bridge(&node, DUAL), json!({"isGateway": false, "ipam": ipam}));
    let attached = node.attach(&conf, &pod);
    let on_link = route(&pod, "-4", "main", "10.9.0.0/16");
    assert_eq!((&on_link["scope"], &on_link["gateway"]), (&json!("link"), &Value::Null));
    assert_eq!(route(&pod, "-6", "main", "fd09::/32")["dev"], "eth0");
    node.check(&attached).ok();
}

#[test]
fn the_mac_is_taken_from_the_nearest_source() {
    let node = Node::new();
    let mut conf = bridge(&node, &DUAL[..1]);
    let mac_after = |conf: &Value, args: &str| {
        let pod = node.pod();
        let output = node.add_call(conf, &pod, "eth0").args(args).run();
        let attached = node.attached(conf, &pod, "eth0", &output);
        let mac = pod.link("eth0").unwrap()["address"].clone();
        assert_eq!(attached.result["interfaces"][2]["mac"], mac);
        node.check_call(&attached).args(args).run().ok();
        node.del_call(&attached).args(args).run().ok();
        mac
    };
    // host-local does not know MAC, therefore IgnoreUnknown.
    let args = "IgnoreUnknown=1;MAC=02:00:00:00:00:01";
    assert_eq!(mac_after(&conf, args), "02:00:00:00:00:01");
    conf["args"] = json!({"cni": {"mac": "02:00:00:00:00:02"}});
    assert_eq!(mac_after(&conf, args), "02:00:00:00:00:02");
    conf["runtimeConfig"] = json!({"mac": "02:00:00:00:00:03"});
    assert_eq!(mac_after(&conf, args), "02:00:00:00:00:03");
    assert_eq!(mac_after(&conf, ""), "02:00:00:00:00:03");
}

#[test]
fn addresses_are_given_as_asked() {
    let node = Node::new();
    let conf = bridge(&node, DUAL);
    let pod = node.pod();
    let output = node.add_call(&conf, &pod, "eth0").args("IgnoreUnknown=1;IP=10.1.0.40").run();
    assert_eq!(node.attached(&conf, &pod, "eth0", &output).ips(), ["10.1.0.40", "fd00:1::2"]);
    let asked = with(conf.clone(), json!({"args": {"cni": {"ips": ["10.1.0.41", "fd00:1::41"]}}}));
    assert_eq!(node.attach(&asked, &node.pod()).ips(), ["10.1.0.41", "fd00:1::41"]);
    let asked = with(conf.clone(), json!({"runtimeConfig": {"ips": ["10.1.0.42/24"]}}));
    assert_eq!(node.attach(&asked, &node.pod()).ips()[0], "10.1.0.42");
    let ranges = json!({"ipRanges": [[{"subnet": "10.7.0.0/24"}]]});
    let mut asked = with(conf, json!({"runtimeConfig": ranges}));
    asked["ipam"].as_object_mut().unwrap().remove("ranges");
    assert_eq!(
        node.attach(&with(asked, json!({"forceAddress": true})), &node.pod()).ips(),
        ["10.7.0.2"]
    );
}

#[test]
fn a_bridge_of_another_address_is_left_alone_unless_forced() {
    let node = Node::new();
    node.run(&["ip", "link", "add", "br0", "type", "bridge"]);
    node.run(&["ip", "addr", "add", "10.99.0.1/24", "dev", "br0"]);
    node.run(&["ip", "addr", "add", "fd00:1::77/64", "dev", "br0", "nodad"]);
    node.run(&["ip", "addr", "add", "fd00:99::1/64", "dev", "br0", "nodad"]);
    node.run(&["ip", "link", "set", "br0", "up"]);
    let before = node.snapshot();
    let conf = bridge(&node, DUAL);
    let error = node.add(&conf, &node.pod(), "eth0").fails();
    error.is(101, &["br0", "10.99.0.1", "forceAddress"]);
    assert_eq!(before.section("links"), node.snapshot().section("links"));
    assert_eq!(before.section("addresses"), node.snapshot().section("addresses"));
    let pod = node.pod();
    let attached = node.attach(&with(conf, json!({"forceAddress": true})), &pod);
    // An IPv6 address of another subnet is no rival: a link has many.
    assert_eq!(node.addresses("br0"), ["10.1.0.1/24", "fd00:1::1/64", "fd00:99::1/64"]);
    assert!(ping(&node, &attached.ips()[0]) && ping(&node, &attached.ips()[1]));
}

#[test]
fn duplicate_address_detection_is_as_the_configuration_says_and_add_waits_for_it() {
    for enabled in [false, true] {
        let (node, pod) = (Node::new(), Pod::new());
        let conf = with(bridge(&node, DUAL), json!({"enabledad": enabled}));
        node.attach(&conf, &pod);
        let address = pod.ip(&["-6", "addr", "show", "dev", "eth0", "scope", "global"]);
        let info = &address[0]["addr_info"][0];
        assert_eq!(info["local"], "fd00:1::2");
        assert!(info["tentative"].is_null() && info["dadfailed"].is_null(), "{info}");
        let accept_dad = pod.sysctl("net/ipv6/conf/eth0/accept_dad");
        assert_eq!(accept_dad, if enabled { "1" } else { "0" });
        assert_eq!(pod.sysctl("net/ipv6/conf/eth0/disable_ipv6"), "0");
        assert_eq!(pod.sysctl("net/ipv6/conf/eth0/keep_addr_on_down"), "1");
    }
}

#[test]
fn ipv6_is_switched_on_where_a_runtime_had_it_off() {
    let (node, pod) = (Node::new(), Pod::new());
    pod.set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    pod.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    let attached = node.attach(&bridge(&node, &DUAL[1..]), &pod);
    assert_eq!(pod.addresses("eth0"), ["fd00:1::2/64"]);
    assert!(ping(&node, &attached.ip()));
}

#[test]
fn a_pod_has_several_attachments_that_come_and_go_alone() {
    let (node, pod) = (Node::new(), Pod::new());
    let first = node.attach(&bridge(&node, DUAL), &pod);
    let other = with(bridge(&node, &["10.2.0.0/24"]), json!({"name": "other", "bridge": "br1"}));
    let second = node.attach_as(&other, &pod, "net1");
    let third = node.attach_as(&bridge(&node, DUAL), &pod, "net2");
    assert_eq!(third.ips(), ["10.1.0.3", "fd00:1::3"]);
    node.del(&first).ok();
    assert_eq!(node.leased("net"), ["10.1.0.3", "fd00:1::3"]);
    for attached in [&second, &third] {
        node.check(attached).ok();
        assert!(ping(&node, &attached.ip()));
    }
}
