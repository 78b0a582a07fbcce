//! A pod that is gone before its VF was given back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Attachment, Pod, need};

use super::Ground;

const MAC: &str = "02:11:22:33:44:88";

fn settings() -> Value {
    json!({"mac": MAC, "vlan": 100, "spoofchk": "off", "trust": "on", "max_tx_rate": 10, "mtu": 1400})
}

/// A pod that had a VF and is gone. The kernel brings the VF back a little later.
fn left(ground: &Ground) -> (Attachment, Pod) {
    let mut pod = Pod::new();
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    pod.remove();
    (attached, pod)
}

fn await_return(ground: &Ground) -> String {
    let start = Instant::now();
    loop {
        if let Some(name) = ground.pf.try_link(0) {
            return name;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "the VF does not come back");
    }
}

#[test]
fn a_del_mends_the_vf_of_a_namespace_that_is_gone() {
    need!(Sriov);
    let ground = Ground::new(1);
    // At once, so that the DEL has to wait for the kernel.
    let (attached, pod) = left(&ground);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    // After the kernel has brought it back, under the name that it had in the pod.
    let (attached, pod) = left(&ground);
    await_return(&ground);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    // The runtime says nothing of the namespace.
    let (mut attached, pod) = left(&ground);
    attached.netns = String::new();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn a_name_that_is_taken_when_the_kernel_brings_it_back_is_no_hindrance() {
    need!(Sriov);
    let ground = Ground::new(1);
    // The kernel cannot call it taken0 now, and calls it devN.
    let mut pod = Pod::new();
    let attached = ground.node.attach_as(&ground.conf(0, settings()), &pod, "taken0");
    ground.node.run(&["ip", "link", "add", "taken0", "type", "dummy"]);
    pod.remove();
    await_return(&ground);
    ground.node.del(&attached).ok();
    ground.node.run(&["ip", "link", "del", "taken0"]);
    ground.is_as_before(&pod);
}

#[test]
fn a_collection_mends_the_vf_of_a_namespace_that_is_gone() {
    need!(Sriov);
    let ground = Ground::new(2);
    let (attached, pod) = left(&ground);
    let stays = Pod::new();
    let kept = ground.attach(&ground.conf(1, json!({"vlan": 7})), &stays);
    ground.node.gc(&attached.conf, &[&kept]).ok();
    assert_eq!(ground.pf.state(0), ground.before[0]);
    ground.node.check(&kept).ok();
    ground.node.gc(&attached.conf, &[]).ok();
    ground.is_as_before(&pod);
    ground.is_as_before(&stays);
    ground.node.del(&attached).ok();
}

#[test]
fn the_next_pod_gets_the_vf_as_it_was_before_the_one_that_is_gone() {
    need!(Sriov);
    let ground = Ground::new(1);
    let (late, gone) = left(&ground);
    let pod = Pod::new();
    let attached = ground.attach(&ground.conf(0, json!({"max_tx_rate": 20})), &pod);
    let info = ground.pf.info(0);
    assert_eq!((&info["vlan_list"], &info["trust"]), (&json!([{}]), &json!(false)));
    assert_eq!(info["rate"]["max_tx"], 20);
    assert_eq!(pod.link("net1").expect("the VF")["mtu"], 1500);
    ground.node.check(&attached).ok();
    // The DEL of the pod before comes late, and touches nothing of the new one's.
    ground.node.del(&late).ok();
    ground.node.check(&attached).ok();
    assert_eq!(ground.pf.info(0), info);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    ground.is_as_before(&gone);
}

#[test]
fn a_del_without_a_namespace_finds_the_vf_in_the_pod_that_lives() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let mut attached = ground.attach(&ground.conf(0, settings()), &pod);
    attached.netns = String::new();
    attached.result = Value::Null;
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn a_record_of_an_earlier_boot_is_a_hint_only() {
    need!(Sriov);
    let mut ground = Ground::new(1);
    let (attached, pod) = left(&ground);
    let name = await_return(&ground);
    // As after a reboot: the VF is as its driver and the administrator made it.
    ground.node.run(&["ip", "link", "set", &name, "down"]);
    ground.node.run(&["ip", "link", "set", &name, "name", "eth77"]);
    for what in ["vlan 5", "trust off", "spoofchk on", "max_tx_rate 0", "mac 00:00:00:00:00:00"] {
        ground.set(0, what);
    }
    ground.node.run(&["ip", "link", "set", "eth77", "address", "02:00:00:00:00:07"]);
    ground.edit_record(|record| record["boot"] = json!("00000000-0000-0000-0000-000000000000"));
    ground.settle();
    let next = Pod::new();
    let new = ground.attach(&ground.conf(0, json!({"vlan": 6})), &next);
    ground.node.check(&new).ok();
    ground.node.del(&new).ok();
    ground.is_as_before(&next);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn vfs_that_were_made_anew_are_not_taken_for_the_old_ones() {
    need!(Sriov);
    let mut ground = Ground::new(2);
    let pod = Pod::new();
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    ground.pf.set_vfs(3);
    assert_eq!(pod.links(), ["lo"]);
    ground.set(0, "vlan 9");
    ground.settle();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    // And the same by the next ADD, with fewer of them.
    let attached = ground.attach(&ground.conf(1, settings()), &pod);
    ground.pf.set_vfs(2);
    ground.settle();
    let next = Pod::new();
    let new = ground.attach(&ground.conf(1, json!({"trust": "on"})), &next);
    ground.node.del(&attached).ok();
    ground.node.check(&new).ok();
    ground.node.del(&new).ok();
    ground.is_as_before(&next);
    // One that does not exist any more.
    let attached = ground.attach(&ground.conf(1, settings()), &pod);
    ground.pf.set_vfs(1);
    ground.node.del(&attached).ok();
    assert_eq!(ground.records(), [""; 0]);
    ground.call("ADD", &attached.conf, &pod).run().fails().is(7, &["deviceID"]);
}

#[test]
fn vfs_that_are_made_anew_owe_nothing_to_what_was() {
    need!(Sriov);
    let ground = Ground::new(3);
    let (pod, other) = (Pod::new(), Pod::new());
    let conf = ground.conf(0, json!({"vlan": 100, "trust": "on"}));
    let attached = ground.attach(&conf, &pod);
    ground.pf.set_vfs(2);
    let fresh = [ground.pf.state(0), ground.pf.state(1)];
    ground.node.check(&attached).fails().is(103, &[&ground.pf.vf(0)]);
    let theirs = ground.attach(&ground.conf(0, json!({"vlan": 7})), &other);
    // Late, and of a VF that is no more.
    ground.node.del(&attached).ok();
    ground.node.check(&theirs).ok();
    assert_eq!(ground.pf.info(0)["vlan_list"][0]["vlan"], 7);
    ground.node.del(&theirs).ok();
    assert_eq!([ground.pf.state(0), ground.pf.state(1)], fresh);
    assert_eq!(ground.records(), [""; 0]);
    assert_eq!((pod.links(), other.links()), (vec!["lo".to_owned()], vec!["lo".to_owned()]));
}
