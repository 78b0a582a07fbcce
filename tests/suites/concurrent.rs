//! Many at once: none fails, no address twice, and all of it goes again.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;
use testkit::{Attachment, Node, Output, Pod, need, ping};

use crate::conf::{DUAL, bridge, guarded, ptp, with};

const PODS: usize = 200;

/// Runs `work` for all pods, each on a thread of its own, all at once.
pub fn at_once<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(|| work(item))).collect();
        threads.into_iter().map(|t| t.join().expect("a call that returns")).collect()
    })
}

pub fn pods(count: usize) -> Vec<Pod> {
    (0..count).map(|_| Pod::new()).collect()
}

#[test]
fn two_hundred_adds_at_once_get_two_hundred_addresses() {
    need!(Speed);
    let node = Node::new();
    let conf = guarded(&node);
    let first = node.pod();
    node.del(&node.attach(&conf, &first)).ok();
    let before = node.snapshot();
    let pods = pods(PODS);
    let attached: Vec<Attachment> = at_once(&pods, |pod| (pod, node.add(&conf, pod, "eth0")))
        .iter()
        .map(|(pod, output)| node.attached(&conf, pod, "eth0", output))
        .collect();
    let addresses: BTreeSet<String> = attached.iter().flat_map(Attachment::ips).collect();
    assert_eq!(addresses.len(), 2 * PODS);
    assert_eq!(node.leased("net").len(), 2 * PODS);
    for output in at_once(&attached, |attached| node.check(attached)) {
        output.ok();
    }
    assert!(ping(&pods[0], &attached[PODS - 1].ip()));
    for output in at_once(&attached, |attached| node.del(attached)) {
        output.ok();
    }
    before.assert_same(&node.snapshot());
    assert!(pods.iter().all(|pod| pod.links() == ["lo"]));
}

#[test]
fn the_first_adds_race_for_the_bridge_and_all_win() {
    need!(Speed);
    for _ in 0..5 {
        let node = Node::new();
        let conf = guarded(&node);
        let pods = pods(8);
        let outputs: Vec<Output> = at_once(&pods, |pod| node.add(&conf, pod, "eth0"));
        for (pod, output) in pods.iter().zip(&outputs) {
            let attached = node.attached(&conf, pod, "eth0", output);
            node.check(&attached).ok();
        }
        assert_eq!(node.addresses("br0"), ["10.1.0.1/24", "fd00:1::1/64"]);
    }
}

#[test]
fn adds_and_dels_of_ptp_go_side_by_side() {
    need!(Speed);
    let node = Node::new();
    let conf = with(ptp(&node, DUAL), json!({"ipMasq": true}));
    let first = node.pod();
    node.del(&node.attach(&conf, &first)).ok();
    let before = node.snapshot();
    for output in at_once(&pods(40), |pod| {
        let attached = node.attach(&conf, pod);
        node.check(&attached).ok();
        node.del(&attached)
    }) {
        output.ok();
    }
    before.assert_same(&node.snapshot());
}

#[test]
fn a_small_range_serves_as_many_as_it_has_and_names_the_rest() {
    let node = Node::new();
    let conf = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "host-local",
        "ipam": node.host_local(&["10.1.0.0/28"]),
    });
    let outputs = at_once(&pods(30), |pod| node.add(&conf, pod, "eth0"));
    let (served, refused): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.succeeded());
    assert_eq!(served.len(), 13);
    for output in refused {
        output.fails().is(102, &["10.1.0."]);
    }
    assert_eq!(node.leased("net").len(), 13);
}

#[test]
fn gc_beside_adds_takes_only_what_is_not_listed() {
    let node = Node::new();
    let conf = bridge(&node, DUAL);
    let pods = pods(10);
    let kept: Vec<Attachment> = pods.iter().map(|pod| node.attach(&conf, pod)).collect();
    let lost = node.pod();
    node.attach(&conf, &lost);
    let valid: Vec<&Attachment> = kept.iter().collect();
    for output in at_once(&[(); 8], |()| node.gc(&conf, &valid)) {
        output.ok();
    }
    assert_eq!(node.leased("net").len(), 20);
    for attached in &kept {
        node.check(attached).ok();
    }
}
