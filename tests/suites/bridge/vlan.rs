//! VLANs on the bridge.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, need, ping, silent};

use crate::conf::{DUAL, bridge, with};
use crate::walk::{self, Network};

/// The VLANs of a port: number, and whether it is the native one and leaves untagged.
fn vlans(node: &Node, name: &str) -> Vec<(u64, bool)> {
    let shown = node.bridge(&["vlan", "show", "dev", name]);
    let vlans = shown[0]["vlans"].as_array().cloned().unwrap_or_default();
    let mut vlans: Vec<(u64, bool)> = vlans
        .iter()
        .flat_map(|vlan| {
            let first = vlan["vlan"].as_u64().expect("vlan");
            let flags = vlan["flags"].to_string();
            let native = flags.contains("PVID") && flags.contains("Egress Untagged");
            (first..=vlan["vlanEnd"].as_u64().unwrap_or(first)).map(move |id| (id, native))
        })
        .collect();
    vlans.sort_unstable();
    vlans
}

fn plain(node: &Node, more: Value) -> Value {
    with(with(bridge(node, DUAL), json!({"isGateway": false})), more)
}

fn attach(more: Value) -> (Node, Pod, Attachment) {
    let (node, pod) = (Node::new(), Pod::new());
    let attached = node.attach(&plain(&node, more), &pod);
    node.check(&attached).ok();
    (node, pod, attached)
}

#[test]
fn an_access_vlan_is_native_and_alone_on_the_port() {
    need!(BridgeVlan);
    let (node, _pod, attached) = attach(json!({"vlan": 100}));
    assert_eq!(vlans(&node, &attached.host_link()), [(100, true)]);
    assert_eq!(node.link("br0").unwrap()["linkinfo"]["info_data"]["vlan_filtering"], 1);
}

#[test]
fn the_default_vlan_can_be_kept() {
    need!(BridgeVlan);
    let (node, _pod, attached) = attach(json!({"vlan": 100, "preserveDefaultVlan": true}));
    let vlans: Vec<u64> = vlans(&node, &attached.host_link()).into_iter().map(|v| v.0).collect();
    assert_eq!(vlans, [1, 100]);
}

#[test]
fn a_trunk_carries_its_vlans_tagged_beside_the_native_one() {
    need!(BridgeVlan);
    let trunk = json!([{"id": 101}, {"minID": 200, "maxID": 203}, {"id": 202}]);
    let tagged = [101, 200, 201, 202, 203].map(|id| (id, false));
    let (node, _pod, attached) = attach(json!({"vlanTrunk": trunk}));
    assert_eq!(vlans(&node, &attached.host_link()), [&[(1, true)][..], &tagged].concat());
    let (node, _pod, attached) = attach(json!({"vlan": 100, "vlanTrunk": trunk}));
    assert_eq!(vlans(&node, &attached.host_link()), [&[(100, true)][..], &tagged].concat());
}

#[test]
fn pods_of_one_vlan_reach_each_other_and_nobody_else() {
    need!(BridgeVlan);
    let node = Node::new();
    let pods = [node.pod(), node.pod(), node.pod()];
    let attached: Vec<Attachment> = pods
        .iter()
        .zip([100, 100, 200])
        .map(|(pod, vlan)| node.attach(&plain(&node, json!({"vlan": vlan})), pod))
        .collect();
    assert!(ping(&pods[0], &attached[1].ip()));
    assert!(silent(&pods[0], &attached[2].ip()));
}

#[test]
fn a_vlan_has_its_own_gateway() {
    need!(BridgeVlan);
    let node = Node::new();
    let conf = with(bridge(&node, DUAL), json!({"vlan": 100}));
    let pods = [node.pod(), node.pod()];
    let attached = [node.attach(&conf, &pods[0]), node.attach(&conf, &pods[1])];
    for attached in &attached {
        let interfaces = attached.result["interfaces"].as_array().unwrap();
        assert_eq!(interfaces.len(), 4);
        assert_eq!(interfaces[3]["name"], "br0.100");
        assert!(ping(&node, &attached.ip()));
    }
    assert_eq!(node.addresses("br0.100"), ["10.1.0.1/24", "fd00:1::1/64"]);
    assert_eq!(node.addresses("br0"), [""; 0]);
    for attached in &attached {
        node.check(attached).ok();
        node.del(attached).ok();
    }
}

#[test]
fn the_vlan_of_an_access_port_is_checked() {
    need!(BridgeVlan);
    let (node, _pod, attached) = attach(json!({"vlan": 100}));
    node.run(&["bridge", "vlan", "del", "dev", &attached.host_link(), "vid", "100"]);
    let error = node.check(&attached).fails();
    assert!(error.text().contains("100"), "{error}");
}

/// Small, and walked in strides, since only an emulated machine may have VLANs on bridges.
const WALKED: Network =
    |node| with(bridge(node, &DUAL[..1]), json!({"vlan": 100, "vlanTrunk": [{"id": 200}]}));

#[test]
fn an_add_that_fails_or_dies_is_made_good_by_a_del() {
    need!(BridgeVlan);
    walk::adds(WALKED, 4);
}

#[test]
fn a_del_that_fails_or_dies_is_made_good_by_another() {
    need!(BridgeVlan);
    walk::dels(WALKED, 2);
}

#[test]
fn a_kernel_without_vlan_filtering_is_named() {
    if testkit::Feature::BridgeVlan.missing().is_none() {
        testkit::not_run("the kernel has bridge VLAN filtering");
        return;
    }
    let (node, pod) = (Node::new(), Pod::new());
    let error = node.add(&plain(&node, json!({"vlan": 100})), &pod, "eth0").fails();
    assert!(error.text().to_lowercase().contains("vlan"), "{error}");
    assert_eq!(node.leased("net"), [""; 0]);
    assert_eq!(node.links().into_iter().find(|l| l.starts_with("veth")), None);
    let conf = with(bridge(&node, DUAL), json!({"vlan": 100}));
    node.status(&conf).fails().is(50, &[]);
    node.status(&bridge(&node, DUAL)).ok();
}
