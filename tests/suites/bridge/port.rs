//! Options of the port and of the link: MTU, hairpin, promiscuity, isolation, layer 2.

use serde_json::{Value, json};
use testkit::{Node, Pod, ping, silent};

use super::{Pair, port};
use crate::conf::{DUAL, bridge, with};

fn flags(link: Option<Value>) -> Vec<Value> {
    link.expect("a link")["flags"].as_array().expect("flags").clone()
}

#[test]
fn the_mtu_is_that_of_both_ends_and_of_a_new_bridge() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(bridge(&node, DUAL), json!({"mtu": 1400}));
    let attached = node.attach(&conf, &pod);
    for link in [node.link("br0"), node.link(&attached.host_link()), pod.link("eth0")] {
        assert_eq!(link.unwrap()["mtu"], 1400);
    }
    node.check(&attached).ok();
}

#[test]
fn hairpin_and_isolation_are_set_on_the_port_as_the_configuration_says() {
    for (hairpin, isolation) in [(false, false), (true, false), (false, true), (true, true)] {
        let (node, pod) = (Node::new(), Pod::new());
        let more = json!({"hairpinMode": hairpin, "portIsolation": isolation});
        let attached = node.attach(&with(bridge(&node, DUAL), more), &pod);
        let port = port(&node, &attached.host_link());
        assert_eq!((&port["hairpin"], &port["isolated"]), (&json!(hairpin), &json!(isolation)));
        node.check(&attached).ok();
    }
}

#[test]
fn isolated_pods_reach_the_node_and_not_each_other() {
    let pair = Pair::new(|node| with(bridge(node, DUAL), json!({"portIsolation": true})));
    let [a, _] = &pair.pods;
    for (ip, gateway) in pair.attached[1].ips().iter().zip(["10.1.0.1", "fd00:1::1"]) {
        assert!(ping(&pair.node, ip));
        assert!(ping(a, gateway));
        assert!(silent(a, ip));
    }
}

#[test]
fn promiscuity_is_the_bridges() {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&with(bridge(&node, DUAL), json!({"promiscMode": true})), &pod);
    assert!(flags(node.link("br0")).contains(&json!("PROMISC")));
    node.check(&attached).ok();
}

#[test]
fn without_ipam_two_pods_share_a_wire() {
    let node = Node::new();
    let conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0"});
    let pods = [node.pod(), node.pod()];
    for (pod, address) in pods.iter().zip(["10.3.0.1/24", "10.3.0.2/24"]) {
        let attached = node.attach(&conf, pod);
        assert_eq!(attached.result["ips"], Value::Null);
        assert_eq!(attached.result["interfaces"].as_array().unwrap().len(), 3);
        assert!(flags(pod.link("eth0")).contains(&json!("UP")));
        node.check(&attached).ok();
        pod.run(&["ip", "addr", "add", address, "dev", "eth0"]);
    }
    assert!(ping(&pods[0], "10.3.0.2"));
    assert_eq!(node.addresses("br0"), [""; 0]);
    // An empty section is none.
    let empty = with(conf, json!({"ipam": {}}));
    let attached = node.attach_as(&empty, &pods[0], "net1");
    node.check(&attached).ok();
    node.del(&attached).ok();
    node.status(&empty).ok();
    node.gc(&empty, &[]).ok();
}

#[test]
fn a_container_interface_can_be_left_down() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
        "disableContainerInterface": true,
    });
    let attached = node.attach(&conf, &pod);
    assert!(!flags(pod.link("eth0")).contains(&json!("UP")));
    assert!(flags(node.link(&attached.host_link())).contains(&json!("UP")));
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert!(pod.link("eth0").is_none());
}

#[test]
fn the_bridge_is_cni0_unless_named_and_stays_after_the_last_pod() {
    let (node, pod) = (Node::new(), Pod::new());
    let mut conf = bridge(&node, DUAL);
    conf.as_object_mut().unwrap().remove("bridge");
    let attached = node.attach(&conf, &pod);
    assert_eq!(node.link(&attached.host_link()).unwrap()["master"], "cni0");
    node.del(&attached).ok();
    assert_eq!(node.addresses("cni0"), ["10.1.0.1/24", "fd00:1::1/64"]);
}

#[test]
fn a_bridge_that_stands_is_used_as_it_is() {
    let (node, pod) = (Node::new(), Pod::new());
    node.run(&["ip", "link", "add", "br0", "mtu", "1300", "type", "bridge"]);
    node.run(&["ip", "link", "add", "p0", "type", "veth", "peer", "name", "p1"]);
    node.run(&["ip", "link", "set", "p0", "master", "br0"]);
    let attached = node.attach(&bridge(&node, DUAL), &pod);
    assert!(flags(node.link("br0")).contains(&json!("UP")));
    assert!(ping(&node, &attached.ip()));
    assert_eq!(node.link("p0").unwrap()["master"], "br0");
}

#[test]
fn the_first_packet_finds_the_pod_when_add_returns() {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&bridge(&node, DUAL), &pod);
    // The port forwards: no waiting for it is left to the pod.
    assert_eq!(port(&node, &attached.host_link())["state"], "forwarding");
    assert_eq!(pod.link("eth0").unwrap()["operstate"], "UP");
    // The node asks for a pod's neighbour from the bridge's link-local address; one that is still
    // tentative would hold up what it forwards.
    assert!(node.is_settled("br0"));
}
