//! Many at once, and a peer file that is being replaced meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use testkit::{Attachment, Output, Underlay};

use super::each_mode;
use super::ground::{Cluster, Mode, talk};
use crate::concurrent::{at_once, pods};

each_mode! {
    the_first_adds_race_and_all_win,
    adds_while_peers_change_all_succeed,
    all_verbs_go_side_by_side,
}

fn the_first_adds_race_and_all_win(mode: Mode) {
    let cluster = Cluster::empty(mode, Underlay::Segment, mode.pods(), json!({"ipMasq": true}));
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    let pods = pods(20);
    let outputs: Vec<Output> = at_once(&pods, |pod| node.add(&conf, pod, "eth0"));
    let attached: Vec<Attachment> = pods
        .iter()
        .zip(&outputs)
        .map(|(pod, output)| node.attached(&conf, pod, "eth0", output))
        .collect();
    cluster.holds(1);
    for ipv6 in [false, true] {
        let Some(device) = mode.device(ipv6) else { continue };
        let kind = if mode == Mode::Vxlan { "vxlan" } else { "ipip" };
        let all = node.ip(&["link", "show", "type", kind]);
        let all = all.as_array().unwrap();
        assert_eq!(all.len(), if mode == Mode::Vxlan { 2 } else { 1 });
        assert!(all.iter().any(|link| link["ifname"] == device));
    }
    for output in at_once(&attached, |attached| node.check(attached)) {
        output.ok();
    }
    let (far, there) = cluster.fleet.attach(&cluster.conf(2), 2);
    talk("the last", (&pods[19], &attached[19]), (&far, &there));
    for output in at_once(&attached, |attached| node.del(attached)) {
        output.ok();
    }
    assert_eq!(node.leased("pods"), [""; 0]);
    cluster.holds(1);
}

fn adds_while_peers_change_all_succeed(mode: Mode) {
    let cluster = Cluster::new(mode);
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    let whole = cluster.fleet.roster.clone();
    let mut fewer = whole.clone();
    fewer.entries[2] = Value::Null;
    let done = AtomicBool::new(false);
    let outputs = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fewer.write(node, 1);
                whole.write(node, 1);
            }
        });
        let outputs: Vec<Vec<Output>> = at_once(&[(); 6], |()| {
            (0..4)
                .map(|_| {
                    let pod = node.pod();
                    let output = node.add(&conf, &pod, "eth0");
                    node.del(&node.unheard(&conf, &pod)).ok();
                    output
                })
                .collect()
        });
        done.store(true, Ordering::Relaxed);
        outputs
    });
    for output in outputs.iter().flatten() {
        output.ok();
    }
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.holds(1);
    cluster.check(1).ok();
    cluster.talk(1, 3);
}

fn all_verbs_go_side_by_side(mode: Mode) {
    let cluster = Cluster::new(mode);
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    let before = node.snapshot();
    for output in at_once(&pods(8), |pod| {
        let attached = node.attach(&conf, pod);
        node.check(&attached).ok();
        node.status(&conf).ok();
        node.del(&attached)
    }) {
        output.ok();
    }
    before.assert_same(&node.snapshot());
    cluster.talk(1, 2);
}
