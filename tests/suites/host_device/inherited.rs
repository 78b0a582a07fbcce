//! What the reference's host-device has given away before ours took its place.

use serde_json::json;
use testkit::{Node, Pod, reference_directory};

use super::{bare, device, records};
use crate::conf::with;

/// A device that the reference has given to a container, and our plugins from then on.
fn given(name: &str) -> Option<(Node, Pod, testkit::Attachment)> {
    let mut node = Node::with_plugins(&reference_directory()?);
    device(&node, name, "far0");
    let pod = node.pod();
    let conf = with(bare(&node), json!({"device": name, "cniVersion": "1.0.0"}));
    let attached = node.attach(&conf, &pod);
    node.use_plugins(testkit::directory());
    Some((node, pod, attached))
}

#[test]
fn a_device_that_the_reference_gave_away_comes_home() {
    testkit::need!(Reference);
    let (node, pod, attached) = given("dev0").expect("the reference plugins");
    assert!(node.link("dev0").is_none());
    node.del(&attached).ok();
    let link = node.link("dev0").expect("the device");
    assert!(link["ifalias"].is_null(), "{link}");
    assert_eq!(pod.links(), ["lo"]);
    assert_eq!(records(&node), [""; 0]);
    node.del(&attached).ok();
    assert!(node.link("dev0").is_some());
    // And is as good as any other then.
    let conf = bare(&node);
    let again = node.attach(&conf, &pod);
    node.check(&again).ok();
    node.del(&again).ok();
}

#[test]
fn what_the_container_wrote_does_not_name_a_device() {
    testkit::need!(Reference);
    let (node, pod, attached) = given("dev0").expect("the reference plugins");
    pod.run(&["ip", "link", "set", "eth0", "alias", "far1"]);
    node.del(&attached).ok();
    assert!(node.link("far1").is_none() && node.link("dev0").is_none());
    assert_eq!(pod.links(), ["lo", "eth0"]);
}

#[test]
fn an_interface_of_another_plugin_is_none_of_it() {
    let node = Node::new();
    let pod = node.pod();
    pod.batch("link add eth0 type veth peer name eth1\nlink set eth0 alias dev1\n");
    node.del(&node.unheard(&bare(&node), &pod)).ok();
    assert_eq!(pod.links().len(), 3);
    assert!(node.link("dev0").is_none());
}
