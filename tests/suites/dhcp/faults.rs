//! Plugin and daemon fail and die at every one of their changes of the world.

use serde_json::Value;
use testkit::Pod;

use super::ground::{Ground, MANY, MANY6, MOST};
use crate::walk::{Fault, points};

#[test]
fn an_add_that_fails_or_dies_at_any_point_leaves_nothing_after_a_del() {
    testkit::need!(DhcpServer, Speed);
    let ground = Ground::new();
    let _server = ground.dnsmasq(MANY, &[MOST]);
    walk_plugin(&ground, &ground.conf());
}

#[test]
fn a_daemon_that_fails_or_dies_at_any_point_serves_the_next_add() {
    testkit::need!(DhcpServer, Speed);
    let ground = Ground::new();
    let _server = ground.dnsmasq(MANY, &[MOST]);
    walk_daemon(&ground, &ground.conf());
}

#[test]
fn an_add_of_both_families_that_fails_or_dies_at_any_point_leaves_nothing_after_a_del() {
    testkit::need!(DhcpServer, Speed);
    let ground = Ground::with_ipv6();
    let _server = ground.dnsmasq(MANY6, &[MOST, &format!("--dhcp-range={MANY}")]);
    walk_plugin(&ground, &ground.conf_of(&["ipv4", "ipv6"]));
}

#[test]
fn a_daemon_of_both_families_that_fails_or_dies_at_any_point_serves_the_next_add() {
    testkit::need!(DhcpServer, Speed);
    let ground = Ground::with_ipv6();
    let _server = ground.dnsmasq(MANY6, &[MOST, &format!("--dhcp-range={MANY}")]);
    walk_daemon(&ground, &ground.conf_of(&["ipv4", "ipv6"]));
}

/// Whatever becomes of an ADD, DEL leaves nothing.
fn walk_plugin(ground: &Ground, conf: &Value) {
    let (node, daemon, counted) = (&ground.node, ground.daemon(), Pod::new());
    let count = points(&node.add_call(conf, &counted, "eth0"));
    node.del(&node.unheard(conf, &counted)).ok();
    for fault in [Fault::Fail, Fault::Die] {
        for at in 1..=count {
            let (pod, what) = (Pod::new(), fault.order(at));
            let output = node.add_call(conf, &pod, "eth0").fault(&what).run();
            // Both plugins have been counted, and each counts its own: the last orders strike nobody.
            if fault == Fault::Fail && !output.succeeded() {
                output.fails();
                assert_eq!(pod.links(), ["lo"], "{what} has not undone what it did");
            }
            node.del(&node.unheard(conf, &pod)).ok();
            assert_eq!(node.links(), ["lo", "br0", "up0"], "{what}");
            assert_eq!(pod.links(), ["lo"], "{what}");
            assert!(ground.leases().is_empty(), "{what}: {}", daemon.log());
        }
    }
    let pod = Pod::new();
    node.check(&node.attach(conf, &pod)).ok();
}

/// Whatever becomes of a daemon, the next one serves.
fn walk_daemon(ground: &Ground, conf: &Value) {
    let node = &ground.node;
    let count = {
        let file = ground.file("points");
        let mut daemon = ground.daemon_ordered(&format!("count:{}", file.display()));
        let attached = node.attach(conf, &Pod::new());
        node.del(&attached).ok();
        assert!(daemon.stop());
        std::fs::read_to_string(file).unwrap().lines().count()
    };
    assert!((10..200).contains(&count), "{count} points");
    for fault in [Fault::Fail, Fault::Die] {
        for at in 1..=count {
            let (pod, what) = (Pod::new(), fault.order(at));
            let daemon = ground.daemon_ordered(&what);
            let output = node.add(conf, &pod, "eth0");
            let attached = if output.succeeded() {
                node.attached(conf, &pod, "eth0", &output)
            } else {
                node.unheard(conf, &pod)
            };
            drop(daemon);
            let daemon = ground.daemon();
            if output.succeeded() {
                // Written before it was told.
                node.check(&attached).ok();
            }
            node.del(&attached).ok();
            assert_eq!(pod.links(), ["lo"], "{what}");
            assert!(ground.leases().is_empty(), "{what}: {}", daemon.log());
        }
    }
}
