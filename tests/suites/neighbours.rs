//! What the neighbours of a pod know of it.

use serde_json::json;
use testkit::{Node, Pod, ping};

use crate::conf::{DUAL, bridge, with};

/// The hardware address that the node has in its cache for `ip`.
fn cached(node: &Node, ip: &str) -> Option<String> {
    let entries = node.ip(&["neigh", "show", ip]);
    entries[0]["lladdr"].as_str().map(str::to_owned)
}

#[test]
fn a_cache_that_holds_the_address_s_last_owner_is_corrected_by_add() {
    let node = Node::new();
    let first = node.pod();
    let attached = node.attach(&bridge(&node, DUAL), &first);
    let stranger = "02:00:00:00:00:99";
    let fixed = json!({"runtimeConfig": {"ips": ["10.1.0.77", "fd00:1::77"]}});
    let ips = ["10.1.0.77", "fd00:1::77"];
    for ip in ips {
        node.run(&["ip", "neigh", "replace", ip, "lladdr", stranger, "nud", "stale", "dev", "br0"]);
        assert_eq!(cached(&node, ip).as_deref(), Some(stranger));
        assert!(first.link("eth0").is_some());
    }
    let pod = Pod::new();
    node.attach(&with(bridge(&node, DUAL), fixed), &pod);
    let own = pod.link("eth0").unwrap()["address"].as_str().unwrap().to_owned();
    for ip in ips {
        // Nothing was sent but what ADD made the kernel announce.
        assert_eq!(cached(&node, ip), Some(own.clone()), "{ip}");
        assert!(ping(&node, ip));
    }
    node.check(&attached).ok();
}
