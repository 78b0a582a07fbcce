//! `bridge`: every option, judged by `ip`, `bridge` and traffic.

mod address;
mod check;
mod filter;
mod port;
mod result;
mod vlan;

use serde_json::Value;
use testkit::{Attachment, Node, Pod};

/// A node with two pods on one network.
struct Pair {
    node: Node,
    pods: [Pod; 2],
    attached: [Attachment; 2],
}

impl Pair {
    fn new(conf: impl Fn(&Node) -> Value) -> Self {
        let node = Node::new();
        let conf = conf(&node);
        let pods = [node.pod(), node.pod()];
        let attached = [node.attach(&conf, &pods[0]), node.attach(&conf, &pods[1])];
        Self { node, pods, attached }
    }
}

/// A port of a bridge as `bridge -j -d link` shows it.
fn port(node: &Node, name: &str) -> Value {
    let ports = node.bridge(&["-d", "link"]);
    let ports = ports.as_array().expect("a list of ports");
    let found = ports.iter().find(|port| port["ifname"] == name);
    found.unwrap_or_else(|| panic!("{name} is no port: {ports:?}")).clone()
}
