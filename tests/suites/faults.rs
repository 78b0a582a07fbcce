//! Every verb fails and dies at every one of its changes of the world; afterwards a DEL brings the
//! node back to what it was.

use serde_json::json;
use testkit::Node;

use crate::conf::{DUAL, guarded, ptp, with};
use crate::walk::{Fault, Ground, Network, points};

const BRIDGE: Network = guarded;
const PTP: Network = |node| with(ptp(node, DUAL), json!({"ipMasq": true}));
const LOOPBACK: Network = |_| json!({"cniVersion": "1.1.0", "name": "lo", "type": "loopback"});
const HOST_LOCAL: Network = |node| {
    let ipam = node.host_local(DUAL);
    json!({"cniVersion": "1.1.0", "name": "net", "type": "host-local", "ipam": ipam})
};
const STATIC: Network = |_| {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "static",
        "ipam": {"type": "static", "addresses": [{"address": "10.1.0.5/24"}]}})
};

const FLANNEL: Network = crate::flannel::network;

macro_rules! walk {
    ($($name:ident: $network:expr;)+) => {
        $(
            mod $name {
                #[test]
                fn add_at_every_point() {
                    testkit::need!(Speed);
                    crate::walk::adds($network, 1);
                }

                #[test]
                fn del_at_every_point() {
                    testkit::need!(Speed);
                    crate::walk::dels($network, 1);
                }

                #[test]
                fn check_at_every_point() {
                    testkit::need!(Speed);
                    crate::walk::checks($network);
                }

                #[test]
                fn gc_at_every_point() {
                    testkit::need!(Speed);
                    crate::walk::collections($network);
                }
            }
        )+
    };
}

walk! {
    bridge: super::BRIDGE;
    ptp: super::PTP;
    loopback: super::LOOPBACK;
    host_local: super::HOST_LOCAL;
    fixed: super::STATIC;
    flannel: super::FLANNEL;
}

#[test]
fn the_plugins_under_test_obey_orders() {
    let ground = Ground::new(BRIDGE);
    let pod = ground.node.pod();
    let count = points(&ground.node.add_call(&ground.conf, &pod, "eth0"));
    assert!(count > 10, "an ADD of bridge passes {count} points only");
}

#[test]
fn a_first_add_that_fails_or_dies_leaves_a_node_that_serves() {
    testkit::need!(Speed);
    for network in [BRIDGE, PTP] {
        let ground = Ground::new(network);
        let count = points(&ground.node.add_call(&ground.conf, &ground.node.pod(), "eth0"));
        for fault in [Fault::Fail, Fault::Die] {
            for at in 1..=count + 5 {
                let node = Node::new();
                let conf = network(&node);
                let pod = node.pod();
                node.add_call(&conf, &pod, "eth0").fault(&fault.order(at)).run();
                node.del(&node.unheard(&conf, &pod)).ok();
                assert_eq!(node.leased("net"), [""; 0], "{}", fault.order(at));
                assert!(!node.links().iter().any(|l| l.starts_with("veth")), "{}", fault.order(at));
                let attached = node.attach(&conf, &pod);
                node.check(&attached).ok();
            }
        }
    }
}
