//! Side by side with the reference plugins: attachments of either are checked and deleted by the other, and
//! both answer the same.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{Feature, Node, Pod, VERSIONS, need, reference_directory};

use super::life::records;
use crate::conf::{DUAL, FAMILIES, single, with};

fn reference() -> PathBuf {
    reference_directory().expect("the reference plugins")
}

/// What both know: with addresses, and without where the reference can be without.
fn networks(node: &Node, kind: &str) -> Vec<Value> {
    let conf = single(node, kind, DUAL);
    let bare = with(single(node, kind, DUAL), json!({"ipam": {}}));
    match kind {
        "macvlan" | "tap" => vec![conf, bare],
        _ => vec![conf],
    }
}

pub fn attachments_of_the_reference_are_checked_and_deleted_by_ours(kind: &str) {
    need!(Reference);
    for at in 0..networks(&Node::new(), kind).len() {
        for heard in [true, false] {
            let mut node = Node::with_plugins(&reference());
            let conf = networks(&node, kind).swap_remove(at);
            let pod = node.pod();
            let mut attached = node.attach(&conf, &pod);
            node.use_plugins(testkit::directory());
            node.check(&attached).ok();
            if !heard {
                attached.result = Value::Null;
            }
            node.del(&attached).ok();
            assert_eq!((pod.links(), node.leased("net")), (vec!["lo".to_owned()], vec![]));
        }
    }
}

pub fn attachments_of_ours_are_checked_and_deleted_by_the_reference(kind: &str) {
    need!(Reference);
    for at in 0..networks(&Node::new(), kind).len() {
        let mut node = Node::new();
        let conf = networks(&node, kind).swap_remove(at);
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        node.use_plugins(&reference());
        node.check(&attached).ok();
        node.del(&attached).ok();
        assert_eq!((pod.links(), node.leased("net")), (vec!["lo".to_owned()], vec![]));
        // The record, which the reference knows nothing of, goes with the next GC.
        node.use_plugins(testkit::directory());
        node.gc(&conf, &[]).ok();
        assert_eq!(records(&node), [""; 0]);
    }
}

/// A result without what differs by chance, or from one version of the reference to the next.
fn normal(mut result: Value) -> Value {
    for interface in result["interfaces"].as_array_mut().into_iter().flatten() {
        for key in ["mac", "sandbox"] {
            interface[key] = json!(key);
        }
        interface.as_object_mut().unwrap().remove("mtu");
    }
    if result["dns"] == json!({}) {
        result.as_object_mut().unwrap().remove("dns");
    }
    result
}

/// What an ADD of these plugins answers and what the pod has then.
fn answer(directory: &Path, conf: impl Fn(&Node) -> Value) -> (Value, Vec<String>, Vec<Value>) {
    let (node, pod) = (Node::with_plugins(directory), Pod::new());
    let result = node.attach(&conf(&node), &pod).result;
    let routes = ["-4", "-6"].into_iter().flat_map(|family| pod.routes(family, "main"));
    let routes = routes.filter(|route| route["dst"] != "fe80::/64").map(|mut route| {
        for key in ["protocol", "flags"] {
            route.as_object_mut().expect("a route").remove(key);
        }
        route
    });
    (normal(result), pod.addresses("eth0"), routes.collect())
}

pub fn both_answer_the_same_in_every_version(kind: &str) {
    need!(Reference);
    // The reference waits for the kernel most of the time, so the cases wait together.
    let versions = if Feature::Speed.missing().is_some() { &["0.2.0", "1.0.0"] } else { VERSIONS };
    let known = versions.iter().filter(|version| known(version));
    let cases: Vec<_> =
        known.flat_map(|version| FAMILIES.iter().map(move |f| (version, *f))).collect();
    std::thread::scope(|scope| {
        for (version, subnets) in cases {
            scope.spawn(move || {
                let conf = |node: &Node| {
                    with(single(node, kind, subnets), json!({"cniVersion": version, "mtu": 1400}))
                };
                let answers = [answer(&reference(), conf), answer(testkit::directory(), conf)];
                assert_eq!(answers[0], answers[1], "{version} {subnets:?}");
            });
        }
    });
}

/// Reference plugins before 1.6 do not know CNI 1.1.0.
fn known(version: &str) -> bool {
    let node = Node::with_plugins(&reference());
    let told = node.call("macvlan").verb("VERSION").stdin("{\"cniVersion\":\"1.1.0\"}").run().ok();
    told["supportedVersions"].as_array().expect("versions").contains(&json!(version))
}
