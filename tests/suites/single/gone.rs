//! DEL and GC under every condition that a runtime leaves behind.

use serde_json::{Value, json};
use testkit::{Node, Pod, Snapshot};

use super::life::records;
use crate::conf::{DUAL, single, with};

/// A node on which the network was used before.
fn ready(kind: &str) -> (Node, Value, Snapshot) {
    let node = Node::new();
    let conf = single(&node, kind, DUAL);
    let pod = node.pod();
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    (node, conf, before)
}

pub fn del_needs_no_previous_result_and_succeeds_twice(kind: &str) {
    let (node, conf, before) = ready(kind);
    let pod = node.pod();
    let mut attached = node.attach(&conf, &pod);
    attached.result = Value::Null;
    for _ in 0..2 {
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
    }
}

pub fn del_without_a_namespace_finds_the_link_by_its_record(kind: &str) {
    let (node, conf, before) = ready(kind);
    let pod = node.pod();
    let attached = node.attach(&conf, &pod);
    node.del_call(&attached).without("CNI_NETNS").run().ok();
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
}

pub fn del_after_the_namespace_is_gone_frees_the_rest(kind: &str) {
    let (node, conf, before) = ready(kind);
    for heard in [true, false] {
        let mut pod = node.pod();
        let mut attached = node.attach(&conf, &pod);
        if !heard {
            attached.result = Value::Null;
        }
        pod.remove();
        node.del(&attached).ok();
        node.settles_to(&before);
    }
}

pub fn del_needs_no_valid_options(kind: &str) {
    let (node, conf, before) = ready(kind);
    let changes = [
        json!({"mtu": 99_999_999}),
        json!({"mtu": 9000}),
        json!({"master": "gone0"}),
        json!({"master": null}),
        json!({"master": 7}),
        json!({"mode": "none"}),
        json!({"vlanId": 5000}),
        json!({"mac": "nonsense", "runtimeConfig": {"mac": "nonsense"}}),
        json!({"linkInContainer": true}),
        json!({"bridge": "gone0", "owner": 7}),
    ];
    for change in changes {
        let pod = node.pod();
        let mut attached = node.attach(&conf, &pod);
        attached.conf = with(conf.clone(), change.clone());
        node.del(&attached).ok();
        let difference = before.difference(&node.snapshot());
        assert!(difference.is_empty(), "{change} left\n{difference}");
        assert_eq!(pod.links(), ["lo"], "{change}");
    }
    // The parent itself is gone, and with it the link.
    if node.link("m0").is_some() {
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        node.run(&["ip", "link", "del", "m0"]);
        node.del(&attached).ok();
        assert_eq!((pod.links(), node.leased("net")), (vec!["lo".to_owned()], vec![]));
        assert_eq!(records(&node), [""; 0]);
    }
}

pub fn del_removes_a_link_that_bears_no_mark(kind: &str) {
    let (node, conf, before) = ready(kind);
    let pod = node.pod();
    let attached = node.attach(&conf, &pod);
    pod.run(&["ip", "link", "set", "eth0", "alias", ""]);
    std::fs::remove_dir_all(node.directory().join("links")).unwrap();
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo"]);
    node.del(&node.attach(&conf, &pod)).ok();
    before.assert_same(&node.snapshot());
}

pub fn a_late_del_does_not_hurt_a_newer_pod(kind: &str) {
    let (node, conf, _) = ready(kind);
    let (old, new) = (node.pod(), node.pod());
    let late = node.attach(&conf, &old);
    node.del(&late).ok();
    let attached = node.attach(&conf, &new);
    // The runtime reuses the path of the namespace.
    node.del_call(&late).env("CNI_NETNS", new.path()).run().ok();
    node.check(&attached).ok();
}

pub fn gc_removes_links_in_namespaces_that_still_stand(kind: &str) {
    let (node, conf, before) = ready(kind);
    // Parents give each VLAN away once.
    let conf_of = |n: u32| {
        if kind == "vlan" { with(conf.clone(), json!({"vlanId": 100 + n})) } else { conf.clone() }
    };
    let (first, mut second) = (node.pod(), node.pod());
    let kept = node.attach(&conf_of(1), &first);
    let one = node.snapshot();
    node.attach_as(&conf_of(2), &first, "net1");
    node.attach(&conf_of(3), &second);
    second.remove();
    node.call(kind).verb("GC").conf(&conf).run().ok();
    assert_eq!(first.links().len(), 3, "without a list nothing is removed");
    node.gc(&conf, &[&kept]).ok();
    node.settles_to(&one);
    assert_eq!(first.links(), ["lo", "eth0"]);
    node.check(&kept).ok();
    node.gc(&conf, &[]).ok();
    before.assert_same(&node.snapshot());
    assert_eq!((first.links(), records(&node)), (vec!["lo".to_owned()], vec![]));
}

pub fn gc_keeps_to_its_network(kind: &str) {
    let (node, conf, _) = ready(kind);
    let pod = Pod::new();
    for other in ["other", "net-2", "ne"] {
        let mut stranger = with(conf.clone(), json!({"name": other}));
        stranger["ipam"]["ranges"] = json!([[{"subnet": "10.9.0.0/24"}]]);
        let attached = node.attach(&stranger, &pod);
        node.gc(&conf, &[]).ok();
        node.check(&attached).ok();
        node.del(&attached).ok();
    }
}

pub fn del_frees_leases_whatever_the_ipam_says_now(kind: &str) {
    let changes: &[fn(&mut Value)] = &[
        |ipam| drop(ipam.as_object_mut().unwrap().remove("ranges")),
        |ipam| ipam["ranges"] = json!([[{"subnet": "nowhere"}]]),
        |ipam| ipam["resolvConf"] = json!("/nowhere"),
    ];
    let (node, conf, before) = ready(kind);
    for change in changes {
        let pod = node.pod();
        let mut attached = node.attach(&conf, &pod);
        change(&mut attached.conf["ipam"]);
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
    }
    // An executable that is gone cannot free the lease, and that is said; the link goes.
    let pod = node.pod();
    let mut attached = node.attach(&conf, &pod);
    attached.conf["ipam"]["type"] = json!("nowhere");
    let error = node.del(&attached).fails();
    assert!(error.msg.contains("nowhere"), "{error}");
    assert_eq!((pod.links(), records(&node)), (vec!["lo".to_owned()], vec![]));
    attached.conf = conf;
    node.del(&attached).ok();
    before.assert_same(&node.snapshot());
}

/// One like `dhcp` says hello and good-bye through the link: it is up then, and goes after.
pub fn an_address_manager_that_speaks_through_the_link_finds_it(kind: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let (mut node, conf, _) = ready(kind);
    let plugins = node.directory().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    std::fs::copy(testkit::directory().join(kind), plugins.join(kind)).unwrap();
    let script = "#!/bin/sh\ncat >/dev/null\ncase $CNI_COMMAND in\nADD|DEL)\n\
        nsenter --net=$CNI_NETNS ip link show up dev $CNI_IFNAME | grep -q . || exit 1 ;;\nesac\n\
        [ $CNI_COMMAND = DEL ] || echo '{\"cniVersion\": \"1.1.0\", \"ips\": [{\"address\": \"10.1.0.7/24\"}]}'\n";
    std::fs::write(plugins.join("dhcp"), script).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(plugins.join("dhcp"), executable).unwrap();
    node.use_plugins(&plugins);
    let pod = node.pod();
    let attached = node.attach(&with(conf, json!({"ipam": {"type": "dhcp"}})), &pod);
    assert_eq!(pod.addresses("eth0"), ["10.1.0.7/24"]);
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo"]);
}
