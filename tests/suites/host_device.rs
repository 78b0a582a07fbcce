//! `host-device`: links of the node that live in containers for a while. Here they are ends of veth pairs
//! and tap devices, which this kernel makes; what dies with its namespace, and what physical devices do
//! then, is told in each test.

mod add;
mod back;
mod bad_input;
mod check;
mod collect;
mod inherited;
mod journal;
mod race;
mod sysfs;
mod walk;

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::Node;

use crate::conf::with;

/// The device's address, MTU and alias before.
const MAC: &str = "02:00:00:00:0d:01";
const MTU: u32 = 1400;
/// An address of the other end, which stays on the node, and one of the device there.
const FAR: &str = "10.9.0.1";
const INSIDE: &str = "10.9.0.2";

/// A node with a device `dev0`, whose other end `far0` is on the node, too.
fn node() -> Node {
    let node = Node::new();
    device(&node, "dev0", "far0");
    node.batch(&format!(
        "link set dev0 address {MAC} mtu {MTU}\nlink set dev0 alias uplink-A\n\
         link property add dev dev0 altname enp1s0f0v0\nlink set dev0 up\n\
         addr add {FAR}/24 dev far0\nlink set far0 up\n"
    ));
    node
}

/// One end of a pair as a device, and its other end.
fn device(node: &Node, name: &str, far: &str) {
    node.run(&["ip", "link", "add", name, "type", "veth", "peer", "name", far]);
}

/// A network of that device.
fn conf(node: &Node) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "host-device", "device": "dev0",
        "stateDir": state(node),
        "ipam": {"type": "static", "addresses": [{"address": format!("{INSIDE}/24")}]},
    })
}

/// The same without addresses.
fn bare(node: &Node) -> Value {
    with(conf(node), json!({"ipam": {}}))
}

/// The journal's directory.
fn state(node: &Node) -> PathBuf {
    node.directory().join("devices")
}

/// The journal's records: the names of its files that are no locks, sorted.
fn records(node: &Node) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(state(node)) else { return Vec::new() };
    let names = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter(|name| name.strip_suffix(".lock").is_none()).collect();
    names.sort();
    names
}

/// A link as it is compared: everything that an administrator can have set of it.
fn look(link: &Value) -> Value {
    let up = |flag: &str| link["flags"].as_array().expect("flags").contains(&json!(flag));
    json!({
        "name": link["ifname"], "altnames": link["altnames"], "address": link["address"],
        "mtu": link["mtu"], "alias": link["ifalias"], "kind": link["linkinfo"]["info_kind"],
        "up": up("UP"), "promisc": up("PROMISC"), "allmulti": up("ALLMULTI"),
    })
}

/// A link of the node as it is compared.
#[track_caller]
fn home(node: &Node, name: &str) -> Value {
    look(
        &node.link(name).unwrap_or_else(|| panic!("{name} is not on the node: {:?}", node.links())),
    )
}
