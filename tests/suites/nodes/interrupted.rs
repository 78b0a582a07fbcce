//! Every verb fails and dies at every one of its changes of the world; the next ADD makes the node
//! whole.

use serde_json::{Value, json};
use testkit::{Netns, Node};

use super::ground::Mode;
use super::state::{Place, held};
use crate::conf::with;
use crate::walk::{self, Fault, Network, points};

/// An underlay whose other end is nobody, and a peer file: all that the verbs see of a fleet.
fn alone(node: &Node, mode: Mode, more: Value) -> Value {
    let dual = mode != Mode::Ipip;
    // The network's configuration may be asked for more than once.
    if node.link("eth0").is_none() {
        node.batch(
            "link add eth0 type veth peer name wire0\n\
             link set wire0 addrgenmode none up\n\
             link set eth0 addrgenmode none up\n\
             addr add 192.168.2.1/24 dev eth0\n\
             addr add fd00:192:168:2::1/64 dev eth0 nodad\n",
        );
        node.await_ipv6("eth0");
        write(node, dual, &[2, 3]);
        // A file that was written a moment ago is not trusted to be the same: no record would be
        // made of it.
        node.run(&["sleep", "0.15"]);
    }
    let conf = json!({
        "cniVersion": "1.1.0", "name": "net", "type": mode.plugin(), "ipMasq": true,
        "peersFile": node.directory().join("peers.json"), "stateDir": node.directory().join("state"),
        "ipam": {"type": "host-local", "dataDir": node.leases()},
    });
    with(conf, more)
}

/// The same with the fleet in the configuration. A file that was written a moment ago is compared
/// anew until it has rested, so that the points of a call would depend on the time.
fn inline(node: &Node, mode: Mode) -> Value {
    let mut conf = alone(node, mode, file(mode != Mode::Ipip, &[2, 3]));
    conf.as_object_mut().expect("an object").remove("peersFile");
    conf
}

/// Writes a peer file with these peers.
fn write(node: &Node, dual: bool, peers: &[usize]) {
    let (path, new) = (node.directory().join("peers.json"), node.directory().join("peers.new"));
    std::fs::write(&new, file(dual, peers).to_string()).expect("a peer file");
    std::fs::rename(&new, &path).expect("the peer file");
}

/// A peer file's content.
fn file(dual: bool, peers: &[usize]) -> Value {
    let list = |v4: String, v6: String| if dual { json!([v4, v6]) } else { json!([v4]) };
    let entry = |n: usize| {
        json!({
            "name": format!("n{n}"),
            "podCIDRs": list(format!("10.244.{n}.0/24"), format!("fd00:244:{n}::/64")),
            "nodeIPs": list(format!("192.168.2.{n}"), format!("fd00:192:168:2::{n}")),
        })
    };
    json!({
        "version": 1, "clusterCIDRs": list("10.244.0.0/16".into(), "fd00:244::/32".into()),
        "local": entry(1), "peers": peers.iter().map(|n| entry(*n)).collect::<Vec<Value>>(),
    })
}

const HOST_GW: Network = |node| alone(node, Mode::HostGw, json!({}));
const VXLAN: Network = |node| alone(node, Mode::Vxlan, json!({}));
const IPIP: Network = |node| alone(node, Mode::Ipip, json!({}));

/// What the node holds, without what belongs to a container.
fn whole(node: &Netns, mode: Mode) -> Vec<String> {
    held(node, &Place::of(mode))
}

/// A first ADD, and one after the peers have changed, at every `stride`-th point: what a later ADD
/// finds half made, it completes.
fn reconciles(network: Network, mode: Mode, stride: usize) {
    let reference = Node::new();
    let conf = network(&reference);
    let count = points(&reference.add_call(&conf, &reference.pod(), "eth0"));
    let two_peers = whole(&reference, mode);
    write(&reference, mode != Mode::Ipip, &[3, 4]);
    let changed = points(&reference.add_call(&conf, &reference.pod(), "eth0"));
    let other_peers = whole(&reference, mode);
    assert_ne!(two_peers, other_peers);
    assert!(count > 20 && changed > 20, "{count} and {changed} points");
    for fault in [Fault::Fail, Fault::Die] {
        for at in (1..=count).step_by(stride) {
            let node = Node::new();
            let conf = network(&node);
            broken(&node, &conf, &fault.order(at));
            mended(&node, &conf, &format!("a first ADD with {}", fault.order(at)));
            assert_eq!(whole(&node, mode), two_peers, "{}", fault.order(at));
        }
        // One node for all: each time it comes from where the last ADD left it.
        let node = Node::new();
        let conf = network(&node);
        mended(&node, &conf, "nothing");
        for at in (1..=changed).step_by(stride) {
            for (peers, wanted) in [(&[3, 4], &other_peers), (&[2, 3], &two_peers)] {
                write(&node, mode != Mode::Ipip, peers);
                broken(&node, &conf, &fault.order(at));
                mended(&node, &conf, &format!("new peers and {}", fault.order(at)));
                assert_eq!(&whole(&node, mode), wanted, "{}", fault.order(at));
            }
        }
    }
}

/// An ADD that fails or dies, and the DEL after it, which leaves nothing of the container's.
#[track_caller]
fn broken(node: &Node, conf: &Value, order: &str) {
    let pod = node.pod();
    node.add_call(conf, &pod, "eth0").fault(order).run();
    node.del(&node.unheard(conf, &pod)).ok();
    assert_eq!((node.leased("net"), pod.links()), (vec![], vec!["lo".to_owned()]), "{order}");
    assert!(!node.links().iter().any(|link| link.starts_with("veth")), "{order}");
}

#[track_caller]
fn mended(node: &Node, conf: &Value, what: &str) {
    let pod = node.pod();
    let output = node.add(conf, &pod, "eth0");
    assert!(output.succeeded(), "after {what}: {output}");
    let attached = node.attached(conf, &pod, "eth0", &output);
    let check = node.check(&attached);
    assert!(check.succeeded(), "after {what}: {check}");
    node.del(&attached).ok();
}

macro_rules! walk {
    ($($name:ident: $network:expr, $mode:ident, [$($need:ident),*], $stride:expr;)+) => {
        $(
            mod $name {
                use super::*;

                #[test]
                fn add_at_every_point() {
                    testkit::need!($($need),*);
                    walk::adds(|node| inline(node, Mode::$mode), $stride);
                }

                #[test]
                fn del_at_every_point() {
                    testkit::need!($($need),*);
                    walk::dels(|node| inline(node, Mode::$mode), $stride);
                }

                #[test]
                fn reconciliation_at_every_point() {
                    testkit::need!($($need),*);
                    reconciles($network, Mode::$mode, $stride);
                }
            }
        )+
    };
}

walk! {
    host_gw: HOST_GW, HostGw, [Speed], 1;
    vxlan: VXLAN, Vxlan, [Speed], 1;
    // In the machine, where every call takes its time.
    ipip: IPIP, Ipip, [Ipip], 9;
}

#[test]
fn check_at_every_point() {
    testkit::need!(Speed);
    walk::checks(|node| inline(node, Mode::HostGw));
    walk::checks(|node| inline(node, Mode::Vxlan));
}

#[test]
fn gc_at_every_point() {
    testkit::need!(Speed);
    walk::collections(|node| inline(node, Mode::HostGw));
    walk::collections(|node| inline(node, Mode::Vxlan));
}
