//! `dummy`: an interface that leads nowhere.

use serde_json::json;
use testkit::{Node, Pod, need, ping};

use crate::conf::{DUAL, single, with};

#[test]
fn its_addresses_answer_the_container_itself() {
    need!(Dummy);
    let (node, pod) = (Node::new(), Pod::new());
    let more = json!({"mac": "02:00:00:00:00:05", "mtu": 1400});
    let attached = node.attach(&with(single(&node, "dummy", DUAL), more), &pod);
    assert!(attached.ips().iter().all(|ip| ping(&pod, ip)));
    let link = pod.link("eth0").unwrap();
    assert_eq!((&link["address"], &link["mtu"]), (&json!("02:00:00:00:00:05"), &json!(1400)));
    node.check(&attached).ok();
}

#[test]
fn arguments_are_the_address_managers() {
    need!(Dummy);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, "dummy", &["10.1.0.0/24"]);
    let result = node.add_call(&conf, &pod, "eth0").args("IP=10.1.0.9").run().ok();
    assert_eq!(result["ips"][0]["address"], "10.1.0.9/24");
}
