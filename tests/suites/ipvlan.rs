//! `ipvlan`: the parent's hardware address, told apart by addresses; judged by `ip` and traffic.

use serde_json::{Value, json};
use testkit::{Node, OUTSIDE_V4, OUTSIDE_V6, Pod, need, ping, tcp};

use crate::conf::{DUAL, single, with};

fn lan(node: &Node, n: u32) -> Value {
    let addresses = json!([
        {"address": format!("192.0.2.{n}/24")}, {"address": format!("2001:db8:ffff::{n}/64")},
    ]);
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "ipvlan", "master": "up0",
        "stateDir": node.directory().join("links"),
        "ipam": {"type": "static", "addresses": addresses},
    })
}

#[test]
fn pods_are_on_the_parents_network_by_its_hardware_address() {
    need!(Ipvlan);
    let node = Node::new();
    let outside = node.outside();
    let pods = [node.pod(), node.pod()];
    let attached = [node.attach(&lan(&node, 10), &pods[0]), node.attach(&lan(&node, 11), &pods[1])];
    assert_eq!(pods[0].link("eth0").unwrap()["address"], node.link("up0").unwrap()["address"]);
    for (at, to) in [(0, OUTSIDE_V4), (1, OUTSIDE_V6)] {
        let [own, other] = [0, 1].map(|pod: usize| attached[pod].ips()[at].clone());
        assert_eq!(tcp(&pods[0], &outside, to).unwrap().to_string(), own);
        assert_eq!(tcp(&outside, &pods[0], &own).unwrap().to_string(), to);
        assert_eq!(tcp(&pods[0], &pods[1], &other).unwrap().to_string(), own);
    }
}

#[test]
fn modes_are_what_they_are_called() {
    need!(Ipvlan);
    for mode in ["l2", "l3", "l3s"] {
        let (node, pods) = (Node::new(), [Pod::new(), Pod::new()]);
        let conf = with(single(&node, "ipvlan", DUAL), json!({"mode": mode}));
        let attached = [node.attach(&conf, &pods[0]), node.attach(&conf, &pods[1])];
        let shown = pods[0].link("eth0").unwrap()["linkinfo"]["info_data"]["mode"].clone();
        assert_eq!(shown, mode);
        node.check(&attached[0]).ok();
        assert!(attached[1].ips().iter().all(|ip| ping(&pods[0], ip)), "{mode}");
        let mut changed = attached[0].clone();
        changed.conf["mode"] = json!(if mode == "l2" { "l3" } else { "l2" });
        node.check(&changed).fails().is(103, &["mode", mode]);
    }
}

#[test]
fn behind_another_plugin_it_takes_over_its_interface_and_its_addresses() {
    need!(Ipvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = single(&node, "ipvlan", DUAL);
    let object = conf.as_object_mut().unwrap();
    object.remove("master");
    object.remove("ipam");
    let before = node.snapshot();
    let previous = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "m0"}],
        "ips": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1", "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {"nameservers": ["10.1.0.53"]},
    });
    let attached = node.attach(&with(conf.clone(), json!({"prevResult": previous})), &pod);
    assert_eq!(pod.addresses("eth0"), ["10.1.0.5/24"]);
    let interfaces = attached.result["interfaces"].as_array().unwrap();
    assert_eq!((interfaces.len(), &interfaces[0]["name"]), (1, &json!("eth0")));
    assert_eq!(attached.result["ips"][0]["interface"], 0);
    assert_eq!(attached.result["routes"], previous["routes"]);
    assert_eq!(attached.result["dns"], previous["dns"]);
    node.check(&attached).ok();
    // A later plugin added an interface; DEL and CHECK do not mind.
    let mut attached = attached;
    attached.conf = conf.clone();
    attached.result["interfaces"].as_array_mut().unwrap().push(json!({"name": "later0"}));
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo"]);
    // ADD does where it has to choose.
    let several = with(previous.clone(), json!({"interfaces": [{"name": "m0"}, {"name": "m1"}]}));
    let output = node.add(&with(conf, json!({"prevResult": several})), &pod, "eth0");
    output.fails().is(7, &["master", "prevResult", "2"]);
    for section in ["links", "addresses", "routes"] {
        assert_eq!(before.section(section), node.snapshot().section(section));
    }
}

#[test]
fn the_default_routes_interface_is_the_parent_when_none_is_named() {
    need!(Ipvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let _outside = node.outside();
    let mut conf = lan(&node, 10);
    conf.as_object_mut().unwrap().remove("master");
    node.status(&conf).fails().is(50, &["master", "default route"]);
    node.run(&["ip", "route", "add", "default", "via", OUTSIDE_V4]);
    node.status(&conf).ok();
    let attached = node.attach(&conf, &pod);
    node.run(&["ip", "route", "del", "default"]);
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn arguments_are_the_address_managers() {
    need!(Ipvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, "ipvlan", &["10.1.0.0/24"]);
    let result = node.add_call(&conf, &pod, "eth0").args("IP=10.1.0.9").run().ok();
    assert_eq!(result["ips"][0]["address"], "10.1.0.9/24");
}
