//! `loopback`: brings `lo` up and tells what it has.

use serde_json::{Value, json};
use testkit::{Netns, Node, Pod, VERSIONS, tcp};

fn conf(version: &str) -> Value {
    json!({"cniVersion": version, "name": "lo", "type": "loopback"})
}

fn up(pod: &Pod) -> bool {
    pod.link("lo").unwrap()["flags"].as_array().unwrap().contains(&json!("UP"))
}

#[test]
fn every_version_brings_lo_up_and_down_again() {
    for version in VERSIONS {
        let (node, pod) = (Node::new(), Pod::within(Netns::bare()));
        let before = node.snapshot();
        let attached = node.attach_as(&conf(version), &pod, "lo");
        assert!(up(&pod));
        assert_eq!(attached.addresses(), ["127.0.0.1/8", "::1/128"], "{version}");
        assert_eq!(tcp(&pod, &pod, "127.0.0.1").unwrap().to_string(), "127.0.0.1");
        if *version >= "0.4.0" {
            node.check(&attached).ok();
        }
        if *version >= "1.1.0" {
            node.status(&conf(version)).ok();
            node.gc(&conf(version), &[]).ok();
        }
        node.del(&attached).ok();
        assert!(!up(&pod));
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn the_result_is_that_of_lo() {
    let (node, pod) = (Node::new(), Pod::within(Netns::bare()));
    let result = node.attach_as(&conf("1.0.0"), &pod, "lo").result;
    assert_eq!(
        result["interfaces"],
        json!([{"name": "lo", "mac": "00:00:00:00:00:00", "sandbox": pod.path()}])
    );
    assert_eq!(
        result["ips"],
        json!([{"interface": 0, "address": "127.0.0.1/8"}, {"interface": 0, "address": "::1/128"}])
    );
}

#[test]
fn whatever_the_interface_is_called_it_is_lo() {
    let (node, pod) = (Node::new(), Pod::within(Netns::bare()));
    let attached = node.attach_as(&conf("1.1.0"), &pod, "eth0");
    assert_eq!(attached.result["interfaces"][0]["name"], "lo");
    assert!(up(&pod));
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn a_previous_result_is_passed_on() {
    let (node, pod) = (Node::new(), Pod::within(Netns::bare()));
    let mut conf = conf("1.0.0");
    let previous = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": pod.path()}],
        "ips": [{"interface": 0, "address": "10.1.0.2/24", "gateway": "10.1.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    conf["prevResult"] = previous.clone();
    assert_eq!(node.attach_as(&conf, &pod, "lo").result, previous);
    assert!(up(&pod));
}

#[test]
fn check_sees_lo_down() {
    let (node, pod) = (Node::new(), Pod::within(Netns::bare()));
    let attached = node.attach_as(&conf("1.1.0"), &pod, "lo");
    node.check(&attached).ok();
    pod.run(&["ip", "link", "set", "lo", "down"]);
    assert!(node.check(&attached).fails().msg.contains("lo"));
}

#[test]
fn del_is_content_without_a_namespace() {
    let (node, mut pod) = (Node::new(), Pod::within(Netns::bare()));
    let attached = node.attach_as(&conf("1.1.0"), &pod, "lo");
    node.del_call(&attached).without("CNI_NETNS").run().ok();
    node.del_call(&attached).env("CNI_NETNS", "").run().ok();
    pod.remove();
    node.del(&attached).ok();
}
