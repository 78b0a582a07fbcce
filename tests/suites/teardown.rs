//! DEL and GC under every condition that a runtime leaves behind: nothing of the attachment stays.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, Snapshot, need, ping};

use crate::conf::{DUAL, guarded, ptp, with};

type Network = fn(&Node) -> Value;

/// Networks with all that a DEL must find again: leases, masquerading, anti-spoofing.
const NETWORKS: &[Network] = &[guarded, |node| with(ptp(node, DUAL), json!({"ipMasq": true}))];

/// A node that has had a pod and lost it, so that only what stays for good is there; a neighbour
/// that must not be hurt; and what is there before the attachment comes.
fn ready(network: Network) -> (Node, Value, (Pod, Attachment), Snapshot) {
    let node = Node::new();
    let conf = network(&node);
    let neighbour = node.pod();
    let beside = node.attach(&conf, &neighbour);
    let pod = node.pod();
    node.del(&node.attach(&conf, &pod)).ok();
    let before = node.snapshot();
    (node, conf, (neighbour, beside), before)
}

#[test]
fn del_succeeds_twice() {
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
    }
}

#[test]
fn del_of_what_never_was_succeeds() {
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        let pod = node.pod();
        node.del(&node.unheard(&conf, &pod)).ok();
        node.del_call(&node.unheard(&conf, &pod)).without("CNI_NETNS").run().ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn del_with_an_empty_namespace_leaves_nothing_on_the_node() {
    for network in NETWORKS {
        for heard in [true, false] {
            let (node, conf, (_pod, beside), before) = ready(*network);
            let pod = node.pod();
            let mut attached = node.attach(&conf, &pod);
            if !heard {
                attached.result = Value::Null;
            }
            node.del_call(&attached).env("CNI_NETNS", "").run().ok();
            before.assert_same(&node.snapshot());
            assert!(pod.link("eth0").is_none(), "a veth whose other end is gone");
            node.check(&beside).ok();
        }
    }
}

#[test]
fn del_after_the_namespace_is_gone_leaves_nothing_on_the_node() {
    for network in NETWORKS {
        for heard in [true, false] {
            let (node, conf, (_pod, beside), before) = ready(*network);
            let mut pod = node.pod();
            let mut attached = node.attach(&conf, &pod);
            if !heard {
                attached.result = Value::Null;
            }
            pod.remove();
            node.del(&attached).ok();
            // The kernel takes the link.
            node.settles_to(&before);
            node.del(&attached).ok();
            node.check(&beside).ok();
        }
    }
}

#[test]
fn del_after_somebody_took_the_link_frees_the_rest() {
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        pod.run(&["ip", "link", "del", "eth0"]);
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn del_after_somebody_took_the_addresses_frees_the_rest() {
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        pod.run(&["ip", "addr", "flush", "dev", "eth0"]);
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn del_without_the_previous_result_leaves_nothing() {
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        let pod = node.pod();
        let mut attached = node.attach(&conf, &pod);
        attached.result = Value::Null;
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
    }
}

#[test]
fn del_with_a_configuration_that_could_not_add_any_more_leaves_nothing() {
    let changes = [
        json!({"mtu": 99_999_999}),
        json!({"vlan": 5000}),
        json!({"hairpinMode": true, "promiscMode": true}),
        json!({"ipMasqBackend": "ipfw"}),
        json!({"runtimeConfig": {"mac": "nonsense", "ips": ["10.200.0.1"]}}),
        json!({"ipMasq": false, "macspoofchk": false}),
        json!({"bridge": "gone0"}),
        json!({"disableContainerInterface": true}),
    ];
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        for change in &changes {
            let pod = node.pod();
            let mut attached = node.attach(&conf, &pod);
            attached.conf = with(conf.clone(), change.clone());
            node.del(&attached).ok();
            let difference = before.difference(&node.snapshot());
            assert!(difference.is_empty(), "{change} left\n{difference}");
        }
    }
}

#[test]
fn del_frees_leases_whatever_the_ranges_say_now() {
    let changes: &[fn(&mut Value)] = &[
        |ipam| drop(ipam.as_object_mut().unwrap().remove("ranges")),
        |ipam| ipam["ranges"] = json!([[{"subnet": "10.200.0.0/24"}]]),
        |ipam| ipam["ranges"] = json!([[{"subnet": "10.1.0.7/31"}]]),
        |ipam| ipam["ranges"] = json!([[{"subnet": "nowhere"}]]),
        |ipam| ipam["resolvConf"] = json!("/nowhere"),
    ];
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        for change in changes {
            let pod = node.pod();
            let mut attached = node.attach(&conf, &pod);
            change(&mut attached.conf["ipam"]);
            node.del(&attached).ok();
            before.assert_same(&node.snapshot());
        }
    }
}

#[test]
fn del_whose_ipam_executable_is_gone_still_takes_link_and_rules() {
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        let pod = node.pod();
        let mut attached = node.attach(&conf, &pod);
        attached.conf["ipam"]["type"] = json!("nowhere");
        // The lease cannot be freed, and that is said; everything else is.
        let error = node.del(&attached).fails();
        assert!(error.msg.contains("nowhere"), "{error}");
        assert_eq!(pod.links(), ["lo"]);
        let after = node.snapshot();
        for section in ["links", "addresses", "routes", "nft"] {
            assert_eq!(before.section(section), after.section(section));
        }
        attached.conf = conf;
        node.del(&attached).ok();
        before.assert_same(&node.snapshot());
    }
}

#[test]
fn a_late_del_does_not_hurt_a_newer_pod_with_the_same_address() {
    for network in NETWORKS {
        let (node, conf, _neighbour, _before) = ready(*network);
        let conf = with(conf, json!({"runtimeConfig": {"ips": ["10.1.0.50", "fd00:1::50"]}}));
        let (old, new) = (node.pod(), node.pod());
        let late = node.attach(&conf, &old);
        node.del(&late).ok();
        let attached = node.attach(&conf, &new);
        assert_eq!(attached.ips(), late.ips());
        let with_new = node.snapshot();
        node.del(&late).ok();
        node.del_call(&late).env("CNI_NETNS", "").run().ok();
        with_new.assert_same(&node.snapshot());
        node.check(&attached).ok();
        assert!(ping(&node, &attached.ip()));
        // Even when the runtime reuses the path of the namespace.
        node.del_call(&late).env("CNI_NETNS", new.path()).ifname("eth7").run().ok();
        node.check(&attached).ok();
    }
}

#[test]
fn gc_with_some_none_and_no_list() {
    need!(Nft);
    for network in NETWORKS {
        let (node, conf, (_pod, beside), before) = ready(*network);
        let (first, mut second) = (node.pod(), node.pod());
        let kept = node.attach(&conf, &first);
        let one = node.snapshot();
        node.attach(&conf, &second);
        node.attach_as(&conf, &first, "net1");
        second.remove();
        node.gc(&conf, &[&kept, &beside]).ok();
        node.settles_to(&one);
        assert_eq!(first.links().len(), 2, "net1 is gone and eth0 is not");
        node.call(conf["type"].as_str().unwrap()).verb("GC").conf(&conf).run().ok();
        one.assert_same(&node.snapshot());
        node.gc(&conf, &[&beside]).ok();
        before.assert_same(&node.snapshot());
        node.check(&beside).ok();
        node.gc(&conf, &[]).ok();
        assert_eq!(node.leased("net"), [""; 0]);
        assert!(!node.links().iter().any(|link| link.starts_with("veth")));
    }
}

#[test]
fn gc_keeps_to_its_network() {
    let node = Node::new();
    let mine = NETWORKS[0](&node);
    let subnets = &["10.2.0.0/24"];
    let other =
        with(NETWORKS[0](&node), json!({"name": "other", "ipam": node.host_local(subnets)}));
    let other = with(other, json!({"bridge": "br1"}));
    let pod = node.pod();
    let stranger = node.attach(&other, &pod);
    node.gc(&mine, &[]).ok();
    node.check(&stranger).ok();
    // A network whose name begins as ours does.
    let near = with(other, json!({"name": "net-2", "bridge": "br2"}));
    let near = with(near, json!({"ipam": node.host_local(&["10.3.0.0/24"])}));
    let near = node.attach_as(&near, &pod, "net2");
    node.gc(&mine, &[]).ok();
    node.check(&near).ok();
    node.check(&stranger).ok();
}

#[test]
fn gc_of_a_lease_without_a_pod_frees_it() {
    let (node, conf, (_pod, beside), before) = ready(NETWORKS[0]);
    let lease = format!("{}/net/10.1.0.99", node.leases());
    std::fs::write(&lease, "lost-in-a-reboot\r\neth0").unwrap();
    node.gc(&conf, &[&beside]).ok();
    before.assert_same(&node.snapshot());
}

#[test]
fn an_add_that_fails_late_undoes_itself() {
    for network in NETWORKS {
        let (node, conf, _neighbour, before) = ready(*network);
        let pod = node.pod();
        let mut conf = conf;
        // No way to 10.77.0.1 from the pod: the route is refused after all else was done.
        conf["ipam"]["routes"] = json!([{"dst": "10.9.0.0/16", "gw": "10.77.0.1"}]);
        let error = node.add(&conf, &pod, "eth0").fails();
        assert!(error.text().contains("10.9.0.0/16"), "{error}");
        before.assert_same(&node.snapshot());
        assert_eq!(pod.links(), ["lo"]);
    }
}
