//! What is ours, what is not, and how DEL tells.

use serde_json::json;
use testkit::{Netns, Node, Pod};

use crate::conf::{DUAL, bridge, with};

fn alias(node: &Node, link: &str) -> Option<String> {
    node.link(link).expect("the link")["ifalias"].as_str().map(str::to_owned)
}

#[test]
fn a_strangers_link_under_our_name_is_left_alone_and_another_name_is_taken() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(bridge(&node, DUAL), json!({"ipMasq": true, "macspoofchk": true}));
    let attached = node.attach(&conf, &pod);
    let name = attached.host_link();
    node.del(&attached).ok();
    let elsewhere = Netns::new();
    node.run(&["ip", "link", "add", &name, "type", "veth", "peer", "name", "x0"]);
    node.move_link("x0", &elsewhere);

    let attached = node.attach(&conf, &pod);
    assert_ne!(attached.host_link(), name);
    assert_eq!(alias(&node, &name), None);
    node.check(&attached).ok();
    // The stranger goes before our DEL: the pair is found under its second name all the same.
    node.run(&["ip", "link", "del", &name]);
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo"]);
    assert_eq!(node.links().into_iter().find(|l| l.starts_with("veth")), None);
    assert_eq!(node.run(&["nft", "list", "ruleset"]), "");
}

#[test]
fn a_host_end_that_somebody_renamed_is_noticed_and_removed() {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&bridge(&node, DUAL), &pod);
    node.run(&["ip", "link", "set", &attached.host_link(), "down"]);
    node.run(&["ip", "link", "set", &attached.host_link(), "name", "foo"]);
    node.run(&["ip", "link", "set", "foo", "up"]);
    node.check(&attached).fails().is(103, &["foo"]);
    node.del(&attached).ok();
    assert_eq!((node.link("foo"), pod.link("eth0")), (None, None));
}

#[test]
fn gc_takes_no_link_for_ours_that_is_no_veth() {
    let (node, pod) = (Node::new(), Pod::new());
    let conf = bridge(&node, DUAL);
    let attached = node.attach(&conf, &pod);
    node.run(&["ip", "link", "add", "other", "type", "bridge"]);
    node.run(&["ip", "link", "set", "other", "alias", "podwire:net:gone:eth0"]);
    node.gc(&conf, &[&attached]).ok();
    assert!(node.link("other").is_some() && pod.link("eth0").is_some());
}
