//! Every verb fails and dies at every point where it changes the world.

use serde_json::{Value, json};
use testkit::Node;

use crate::walk::{self, Fault, Network, points};

/// Behind a plugin that gave these addresses.
fn given(backend: &str, host: u8) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "firewall", "backend": backend,
        "ingressPolicy": "same-bridge",
        "prevResult": {
            "cniVersion": "1.1.0",
            "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/run/netns/c"}],
            "ips": [
                {"address": format!("10.1.0.{host}/24"), "interface": 1},
                {"address": format!("fd00:1::{host}/64"), "interface": 1},
            ],
        },
    })
}

const WAYS: [Network; 2] = [|_| given("nftables", 5), |_| given("iptables", 5)];

#[test]
fn add_at_every_point() {
    testkit::need!(Nft, Iptables, Speed);
    for network in WAYS {
        walk::adds(network, 1);
    }
}

#[test]
fn del_at_every_point() {
    testkit::need!(Nft, Iptables, Speed);
    for network in WAYS {
        walk::dels(network, 1);
    }
}

#[test]
fn check_at_every_point() {
    testkit::need!(Nft, Iptables, Speed);
    for network in WAYS {
        walk::checks(network);
    }
}

#[test]
fn gc_at_every_point() {
    testkit::need!(Nft, Iptables, Speed);
    for backend in ["nftables", "iptables"] {
        for fault in [Fault::Fail, Fault::Die] {
            let node = Node::new();
            let pods = [node.pod(), node.pod()];
            let kept = node.attach(&given(backend, 5), &pods[0]);
            let before = node.snapshot();
            node.attach(&given(backend, 6), &pods[1]);
            let count = points(&node.gc_call(&kept.conf, &[&kept]));
            for at in 1..=count {
                let what = format!("{backend}: GC with {}", fault.order(at));
                node.attach(&given(backend, 6), &pods[1]);
                node.gc_call(&kept.conf, &[&kept]).fault(&fault.order(at)).run();
                node.check(&kept).ok();
                node.gc(&kept.conf, &[&kept]).ok();
                let difference = before.difference(&node.snapshot());
                assert!(difference.is_empty(), "{what}: {difference}");
            }
        }
    }
}

#[test]
fn a_first_add_that_fails_or_dies_leaves_a_node_that_serves() {
    testkit::need!(Nft, Iptables, Speed);
    for network in WAYS {
        let conf = network(&Node::new());
        let count = points(&Node::new().add_call(&conf, &testkit::Pod::new(), "eth0"));
        for fault in [Fault::Fail, Fault::Die] {
            for at in 1..=count {
                let (node, what) = (Node::new(), fault.order(at));
                let pod = node.pod();
                let output = node.add_call(&conf, &pod, "eth0").fault(&what).run();
                if fault == Fault::Die || output.succeeded() {
                    node.del(&node.unheard(&conf, &pod)).ok();
                }
                // An empty table of iptables' own making stays.
                let left = node.snapshot().section("nft").join("\n");
                assert!(!left.contains("podwire") && !left.contains("CNI-"), "{what}: {left}");
                let attached = node.attach(&conf, &pod);
                node.check(&attached).ok();
            }
        }
    }
}
