//! The example of a container that is a guest of the node's own network.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::{Pod, ping};

use super::ground::{Ground, SERVER};
use crate::conf::with;

#[test]
fn the_example_gets_an_address_and_a_name_from_the_network() {
    testkit::need!(DhcpServer, Macvlan);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/macvlan-dhcp.conflist");
    let Ok(text) = fs::read_to_string(file) else {
        return testkit::not_run("the examples are not here");
    };
    let list: Value = serde_json::from_str(&text).unwrap();
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    // The example's parent is a network card, and a bridge's port can have no macvlan.
    ground.node.batch("link set up0 nomaster down\nlink set up0 name eth1\nlink set eth1 up\n");

    let head = json!({
        "cniVersion": list["cniVersion"], "name": list["name"],
        "stateDir": ground.file("links"),
    });
    let mut conf = with(list["plugins"][0].clone(), head);
    conf["ipam"]["daemonSocketPath"] = json!(ground.socket());
    let (node, pod) = (&ground.node, Pod::new());
    node.status(&conf).ok();
    let call =
        node.add_call(&conf, &pod, "eth0").env("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=web-0");
    let attached = node.attached(&conf, &pod, "eth0", &call.run());
    assert_eq!(pod.addresses("eth0"), attached.addresses());
    assert!(ping(&pod, SERVER));
    let leases = fs::read_to_string(ground.file("dnsmasq.leases")).unwrap();
    assert!(leases.contains(&format!(" {} web-0 ", attached.ip())), "{leases}");
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert!(ground.leases().is_empty());
}
