//! Side by side with the reference plugins: attachments of either are checked and deleted by the
//! other, and both answer the same.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{
    Attachment, Node, OUTSIDE_V4, Pod, UPLINK_V4, VERSIONS, need, reference_directory, tcp,
};

use crate::conf::{DUAL, FAMILIES, bridge, ptp, with};

fn reference() -> PathBuf {
    reference_directory().expect("the reference plugins")
}

/// Networks that both know, by what they exercise.
fn networks(node: &Node) -> Vec<(&'static str, Value)> {
    let gateway = json!({"isDefaultGateway": true});
    let masq = json!({"isDefaultGateway": true, "ipMasq": true});
    let nft = json!({"isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "nftables"});
    let spoof = json!({"macspoofchk": true});
    let layer2 = json!({"cniVersion": "1.0.0", "name": "l2", "type": "bridge", "bridge": "br9"});
    vec![
        ("bridge", bridge(node, DUAL)),
        ("bridge, gateway", with(bridge(node, DUAL), gateway)),
        ("bridge, ipMasq", with(bridge(node, DUAL), masq)),
        ("bridge, ipMasq by nftables", with(bridge(node, DUAL), nft)),
        ("bridge, macspoofchk", with(bridge(node, DUAL), spoof)),
        ("bridge, layer 2", layer2),
        ("ptp", ptp(node, DUAL)),
        ("ptp, ipMasq", with(ptp(node, DUAL), json!({"ipMasq": true}))),
    ]
}

/// Traces that an attachment could leave on the node.
fn traces(node: &Node, attached: &Attachment) -> Vec<String> {
    let snapshot = node.snapshot();
    let mut found: Vec<String> = node.leased("net");
    found.extend(node.links().into_iter().filter(|link| link.starts_with("veth")));
    let marks = attached.ips().into_iter().chain([attached.container.clone()]);
    for mark in marks {
        let quoted = [format!("\"{mark}\""), format!("-{mark}-"), format!("\"{mark}")];
        let lines = snapshot.section("nft").iter().chain(snapshot.section("routes"));
        found.extend(lines.filter(|l| quoted.iter().any(|q| l.contains(q))).cloned());
    }
    found.extend(snapshot.section("nft").iter().filter(|l| l.contains("\"CNI-")).cloned());
    found
}

#[test]
fn attachments_of_the_reference_are_checked_and_deleted_by_ours() {
    need!(Reference, Nft, Iptables, Speed);
    let names: Vec<&str> = networks(&Node::new()).into_iter().map(|n| n.0).collect();
    for (at, name) in names.iter().enumerate() {
        let mut node = Node::with_plugins(&reference());
        let conf = networks(&node).swap_remove(at).1;
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        node.use_plugins(testkit::directory());
        let check = node.check(&attached);
        assert!(check.succeeded(), "{name}: {check}");
        let del = node.del(&attached);
        assert!(del.succeeded(), "{name}: {del}");
        assert_eq!(traces(&node, &attached), [""; 0], "{name}");
        assert_eq!(pod.links(), ["lo"], "{name}");
    }
}

#[test]
fn attachments_of_the_reference_are_deleted_by_ours_when_the_namespace_is_gone() {
    need!(Reference, Nft, Iptables, Speed);
    let names: Vec<&str> = networks(&Node::new()).into_iter().map(|n| n.0).collect();
    for (at, name) in names.iter().enumerate() {
        for heard in [true, false] {
            let mut node = Node::with_plugins(&reference());
            let conf = networks(&node).swap_remove(at).1;
            let mut pod = node.pod();
            let attached = node.attach(&conf, &pod);
            let mut known = attached.clone();
            if !heard {
                known.result = Value::Null;
            }
            node.use_plugins(testkit::directory());
            pod.remove();
            let del = node.del_call(&known).env("CNI_NETNS", "").run();
            assert!(del.succeeded(), "{name}: {del}");
            // The kernel takes the link in its own time.
            let start = std::time::Instant::now();
            while start.elapsed().as_secs() < 20
                && node.links().iter().any(|link| link.starts_with("veth"))
            {}
            assert_eq!(traces(&node, &attached), [""; 0], "{name}");
        }
    }
}

#[test]
fn attachments_of_ours_are_checked_and_deleted_by_the_reference() {
    need!(Reference, Nft, Iptables, Speed);
    let names: Vec<&str> = networks(&Node::new()).into_iter().map(|n| n.0).collect();
    for (at, name) in names.iter().enumerate() {
        let mut node = Node::new();
        let conf = networks(&node).swap_remove(at).1;
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        node.use_plugins(&reference());
        // Without IPAM the reference's CHECK always fails.
        if conf["ipam"].is_object() {
            let check = node.check(&attached);
            assert!(check.succeeded(), "{name}: {check}");
        }
        let del = node.del(&attached);
        // Before 1.6 the reference's DEL reports that it finds no iptables chain of its own,
        // after everything else is gone.
        assert!(del.succeeded() || conf["ipMasq"] == true, "{name}: {del}");
        assert_eq!(pod.links(), ["lo"], "{name}");
        assert_eq!(node.leased("net"), [""; 0], "{name}");
        // What the reference cannot know of, our GC takes.
        node.use_plugins(testkit::directory());
        if conf["cniVersion"] == "1.1.0" {
            node.gc(&conf, &[]).ok();
            assert_eq!(traces(&node, &attached), [""; 0], "{name}");
        }
    }
}

#[test]
fn pods_of_both_share_a_network_and_its_leases() {
    need!(Reference);
    let mut node = Node::with_plugins(&reference());
    let conf = with(bridge(&node, DUAL), json!({"isDefaultGateway": true, "ipMasq": true}));
    let mut pods: Vec<(Pod, Attachment)> = Vec::new();
    for directory in
        [reference(), testkit::directory().to_owned(), reference(), testkit::directory().to_owned()]
    {
        node.use_plugins(&directory);
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        pods.push((pod, attached));
    }
    let ips: Vec<String> = pods.iter().map(|(_, attached)| attached.ip()).collect();
    assert_eq!(ips, ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5"]);
    let outside = node.outside();
    for (at, (pod, attached)) in pods.iter().enumerate() {
        let (other, to) = &pods[(at + 1) % pods.len()];
        assert_eq!(tcp(pod, other, &to.ip()).unwrap().to_string(), attached.ip());
        assert_eq!(tcp(pod, &outside, OUTSIDE_V4).unwrap().to_string(), UPLINK_V4);
        node.check(attached).ok();
    }
}

/// A result without what differs by chance: MACs, and the random part of a veth's name.
fn normal(mut result: Value) -> Value {
    for interface in result["interfaces"].as_array_mut().into_iter().flatten() {
        if interface["name"].as_str().is_some_and(|name| name.starts_with("veth")) {
            interface["name"] = json!("veth");
        }
        for key in ["mac", "sandbox"] {
            if interface[key].is_string() {
                interface[key] = json!(key);
            }
        }
        // 1.1 has it; the reference tells it from 1.6 on.
        interface.as_object_mut().unwrap().remove("mtu");
    }
    // Before 1.6 the reference wrote an empty resolver into results of 1.x too.
    if result["dns"] == json!({}) {
        result.as_object_mut().unwrap().remove("dns");
    }
    result
}

/// What an ADD of these plugins answers and what the pod has then.
fn answer(directory: &Path, conf: impl Fn(&Node) -> Value) -> (Value, Vec<String>, Vec<Value>) {
    let node = Node::with_plugins(directory);
    let pod = node.pod();
    let result = node.attach(&conf(&node), &pod).result;
    let routes = ["-4", "-6"].into_iter().flat_map(|family| pod.routes(family, "main"));
    let routes = routes.filter(|route| route["dst"] != "fe80::/64").map(|mut route| {
        // Ours are marked with a protocol number of our own.
        for key in ["protocol", "flags"] {
            route.as_object_mut().expect("a route").remove(key);
        }
        route
    });
    (normal(result), pod.addresses("eth0"), routes.collect())
}

#[test]
fn both_answer_the_same_in_every_version() {
    need!(Reference, Speed);
    let confs: [fn(&Node, &[&str]) -> Value; 3] = [bridge, ptp, |node, subnets| {
        with(bridge(node, subnets), json!({"isDefaultGateway": true, "mtu": 1400}))
    }];
    let cases = VERSIONS.iter().map(|version| (version, DUAL));
    let cases = cases.chain(FAMILIES[..2].iter().map(|subnets| (&"1.0.0", *subnets)));
    // The reference waits for the kernel most of the time, so the cases wait together.
    std::thread::scope(|scope| {
        for (version, subnets) in cases {
            for conf in confs {
                scope.spawn(move || {
                    let conf =
                        |node: &Node| with(conf(node, subnets), json!({"cniVersion": version}));
                    let answers = [answer(&reference(), conf), answer(testkit::directory(), conf)];
                    assert_eq!(answers[0], answers[1], "{version} {subnets:?}");
                });
            }
        }
    });
}
