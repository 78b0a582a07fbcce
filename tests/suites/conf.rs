//! Configurations that the suites share, and how they are varied.

use serde_json::{Value, json};
use testkit::Node;

/// The families that everything is tried with, as the ranges of an IPAM section.
pub const FAMILIES: &[&[&str]] =
    &[&["10.1.0.0/24"], &["fd00:1::/64"], &["10.1.0.0/24", "fd00:1::/64"]];

pub const DUAL: &[&str] = FAMILIES[2];

/// `conf` with the keys of `more` in place of its own.
pub fn with(mut conf: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("not an object: {more}") };
    conf.as_object_mut().expect("an object").extend(more);
    conf
}

/// A bridge `br0` that is the pods' gateway.
pub fn bridge(node: &Node, subnets: &[&str]) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
        "isGateway": true, "ipam": node.host_local(subnets),
    })
}

/// The bridge with all that guards and hides its pods.
pub fn guarded(node: &Node) -> Value {
    let more = json!({"ipMasq": true, "macspoofchk": true, "isDefaultGateway": true});
    with(bridge(node, DUAL), more)
}

/// A point-to-point link with a default route.
pub fn ptp(node: &Node, subnets: &[&str]) -> Value {
    let mut ipam = node.host_local(subnets);
    ipam["routes"] = defaults(subnets);
    json!({"cniVersion": "1.1.0", "name": "net", "type": "ptp", "ipam": ipam})
}

/// A default route for each family of these subnets.
pub fn defaults(subnets: &[&str]) -> Value {
    let of = |s: &&str| json!({"dst": if s.contains(':') { "::/0" } else { "0.0.0.0/0" }});
    subnets.iter().map(of).collect()
}

/// `subnet`'s address number `host`: `10.1.0.0/24`, 7 -> `10.1.0.7`.
pub fn host(subnet: &str, host: u8) -> String {
    let network = subnet.split('/').next().expect("a subnet");
    format!("{}{host:x}", network.strip_suffix('0').unwrap_or(network))
}

/// Gives the node an interface `m0` with a cable in it, which others are made upon.
pub fn parent(node: &Node) {
    if node.link("m0").is_none() {
        node.batch("link add m0 type veth peer name m1\nlink set m0 up\nlink set m1 up\n");
    }
}

/// An interface of its own for each pod, of this kind, upon `m0` where the kind has a parent.
pub fn single(node: &Node, kind: &str, subnets: &[&str]) -> Value {
    let mut ipam = node.host_local(subnets);
    ipam["routes"] = defaults(subnets);
    let conf = json!({
        "cniVersion": "1.1.0", "name": "net", "type": kind, "ipam": ipam,
        "stateDir": node.directory().join("links"),
    });
    let own = match kind {
        "dummy" | "tap" => return conf,
        "vlan" => json!({"master": "m0", "vlanId": 7}),
        _ => json!({"master": "m0"}),
    };
    parent(node);
    with(conf, own)
}
