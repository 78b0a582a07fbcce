//! Whose the rules are: late DELs, DELs without the previous result, GC, many at once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, need};

const BACKENDS: [&str; 2] = ["nftables", "iptables"];

/// The plugin behind one that gave this address, in a network on `br0`.
fn given(backend: &str, address: &str) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "firewall", "backend": backend,
        "ingressPolicy": "same-bridge",
        "prevResult": {
            "cniVersion": "1.1.0",
            "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/run/netns/c"}],
            "ips": [{"address": address, "interface": 1}],
        },
    })
}

/// What a runtime that lost the result passes.
fn forgotten(attachment: &Attachment) -> Attachment {
    let mut known = attachment.clone();
    known.conf.as_object_mut().unwrap().remove("prevResult");
    known.result = Value::Null;
    known
}

fn is_bare(node: &Node) -> bool {
    let left = node.snapshot().section("nft").join("\n");
    !left.contains("podwire") && !left.contains("CNI-")
}

#[test]
fn a_late_del_leaves_the_addresss_next_holder_alone() {
    need!(Nft, Iptables);
    for backend in BACKENDS {
        for address in ["10.1.0.5/24", "fd00:1::5/64"] {
            let (node, pods) = (Node::new(), [Pod::new(), Pod::new()]);
            let [old, new] = pods.each_ref().map(|pod| node.attach(&given(backend, address), pod));
            node.check(&new).ok();
            node.check(&old).fails().is(103, &[]);
            node.del(&old).ok();
            node.check(&new).ok();
            node.del(&forgotten(&old)).ok();
            node.check(&new).ok();
            node.del(&new).ok();
            assert!(is_bare(&node), "{backend} {address}");
        }
    }
}

#[test]
fn del_without_the_previous_result_finds_everything() {
    need!(Nft, Iptables);
    for backend in BACKENDS {
        let (node, pods) = (Node::new(), [Pod::new(), Pod::new()]);
        let first = node.attach(&given(backend, "10.1.0.5/24"), &pods[0]);
        let other = node.attach(&given(backend, "10.1.0.6/24"), &pods[1]);
        node.del(&forgotten(&first)).ok();
        node.check(&first).fails().is(103, &["10.1.0.5"]);
        node.check(&other).ok();
        node.del(&forgotten(&other)).ok();
        node.del(&forgotten(&other)).ok();
        assert!(is_bare(&node), "{backend}");
    }
}

#[test]
fn del_removes_what_another_backend_made() {
    need!(Nft, Iptables);
    for (made, told) in [("nftables", "iptables"), ("iptables", "nftables"), ("nftables", "?")] {
        let (node, pod) = (Node::new(), Pod::new());
        let mut attached = node.attach(&given(made, "10.1.0.5/24"), &pod);
        attached.conf["backend"] = json!(told);
        node.del(&attached).ok();
        assert!(is_bare(&node), "{made}, then {told}");
    }
}

#[test]
fn gc_removes_what_is_not_listed_and_no_more() {
    need!(Nft, Iptables);
    for backend in BACKENDS {
        let node = Node::new();
        let pods = [Pod::new(), Pod::new(), Pod::new()];
        let conf = |at: usize| given(backend, &format!("10.1.0.{}/24", 5 + at));
        let kept = node.attach(&conf(0), &pods[0]);
        let before = node.snapshot();
        node.attach(&conf(1), &pods[1]);
        let elsewhere = {
            let mut conf = conf(2);
            conf["name"] = json!("another");
            node.attach(&conf, &pods[2])
        };
        node.gc(&conf(0), &[&kept]).ok();
        node.check(&kept).ok();
        node.check(&elsewhere).ok();
        node.del(&elsewhere).ok();
        before.assert_same(&node.snapshot());
        node.gc(&conf(0), &[]).ok();
        assert!(is_bare(&node), "{backend}");
    }
}

/// A directory of tools that write down what they are executed for, and take their time to change.
fn slow_tools(node: &Node, log: &Path) -> String {
    let (directory, log) = (node.directory().join("tools"), log.display());
    let path = std::env::var("PATH").unwrap();
    fs::create_dir(&directory).unwrap();
    for (tool, steps) in [("iptables", "echo list"), ("iptables-restore", "sleep 0.3; echo change")]
    {
        let script = format!("#!/bin/sh\n{steps} >> {log}\nPATH='{path}' exec {tool} \"$@\"\n");
        let file = directory.join(tool);
        fs::write(&file, script).unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{path}", directory.display())
}

#[test]
fn nobody_else_is_at_the_rules_between_their_listing_and_their_change() {
    need!(Nft, Iptables);
    let node = Node::new();
    let log = node.directory().join("log");
    let path = slow_tools(&node, &log);
    let pods: [Pod; 3] = std::array::from_fn(|_| Pod::new());
    thread::scope(|scope| {
        for (pod, host) in pods.iter().zip(5..) {
            let call = node.call("firewall").verb("ADD").pod(pod).ifname("eth0");
            let call = call.conf(&given("iptables", &format!("10.1.0.{host}/24")));
            let call = call.env("PATH", &path);
            scope.spawn(move || call.run().ok());
        }
    });
    assert_eq!(fs::read_to_string(log).unwrap(), "list\nchange\n".repeat(pods.len()));
}

#[test]
fn many_come_and_go_at_once() {
    need!(Nft, Iptables, Speed);
    for backend in BACKENDS {
        let node = Node::new();
        let pods: Vec<Pod> = (0..24).map(|_| Pod::new()).collect();
        let all: Vec<Attachment> = thread::scope(|scope| {
            let jobs: Vec<_> = pods
                .iter()
                .enumerate()
                .map(|(at, pod)| {
                    let conf = given(backend, &format!("10.1.0.{}/24", 5 + at));
                    let node = &node;
                    scope.spawn(move || node.attach(&conf, pod))
                })
                .collect();
            jobs.into_iter().map(|job| job.join().unwrap()).collect()
        });
        for attached in &all {
            node.check(attached).ok();
        }
        let rules = node.run(&["iptables", "-S", "FORWARD"]);
        assert_eq!(rules.matches("-j CNI-FORWARD").count(), 1, "{backend}: {rules}");
        thread::scope(|scope| {
            for attached in &all {
                let node = &node;
                scope.spawn(move || node.del(attached).ok());
            }
        });
        assert!(is_bare(&node), "{backend}");
    }
}
