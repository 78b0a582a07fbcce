//! Several containers and one device.

use std::thread;

use serde_json::json;
use testkit::{Output, Pod};

use super::{bare, conf, device, home, node, records};
use crate::conf::{DUAL, with};

#[test]
fn of_containers_that_want_one_device_at_once_one_gets_it() {
    let node = node();
    let was = home(&node, "dev0");
    let conf = with(conf(&node), json!({"ipam": node.host_local(DUAL)}));
    for _ in 0..5 {
        let pods: Vec<Pod> = (0..4).map(|_| node.pod()).collect();
        let outputs: Vec<Output> = thread::scope(|scope| {
            let adds: Vec<_> = pods
                .iter()
                .map(|pod| scope.spawn(|| node.add_call(&conf, pod, "eth0").run()))
                .collect();
            adds.into_iter().map(|add| add.join().expect("an ADD")).collect()
        });
        let winners: Vec<usize> = (0..pods.len()).filter(|n| outputs[*n].succeeded()).collect();
        let [winner] = winners[..] else { panic!("{winners:?} have it: {outputs:?}") };
        for (pod, output) in pods.iter().zip(&outputs) {
            if pod.id == pods[winner].id {
                continue;
            }
            output.fails().is(11, &["dev0", &pods[winner].id]);
            assert_eq!(pod.links(), ["lo"]);
            node.del(&node.unheard(&conf, pod)).ok();
        }
        assert_eq!(node.leased("net").len(), 2);
        let attached = node.attached(&conf, &pods[winner], "eth0", &outputs[winner]);
        node.check(&attached).ok();
        node.del(&attached).ok();
        assert_eq!(home(&node, "dev0"), was);
        assert_eq!(records(&node), [""; 0]);
    }
}

#[test]
fn many_devices_go_to_many_containers_at_once() {
    let node = node();
    let all: Vec<usize> = (0..8).collect();
    for n in &all {
        device(&node, &format!("many{n}"), &format!("rest{n}"));
    }
    let before = node.snapshot();
    thread::scope(|scope| {
        for n in &all {
            let node = &node;
            scope.spawn(move || {
                let conf = with(bare(node), json!({"device": format!("many{n}")}));
                for _ in 0..3 {
                    let pod = node.pod();
                    let attached = node.attach(&conf, &pod);
                    node.check(&attached).ok();
                    node.del(&attached).ok();
                }
            });
        }
    });
    assert_eq!(before.section("links"), node.snapshot().section("links"));
    assert_eq!(records(&node), [""; 0]);
}

#[test]
fn a_device_that_is_attached_is_named_with_its_owner() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    let error = node.add(&conf(&node), &node.pod(), "eth0").fails();
    error.is(11, &["dev0", &pod.id, "net", "eth0"]);
    let error = node.add(&conf(&node), &pod, "eth1").fails();
    error.is(11, &["dev0", &pod.id]);
    let error = node.add(&conf(&node), &pod, "eth0").fails();
    error.is(101, &["dev0", &pod.id, "DEL"]);
    node.check(&attached).ok();
    node.del(&attached).ok();
}

#[test]
fn dels_and_adds_at_once_lose_no_device() {
    let node = node();
    let was = home(&node, "dev0");
    let conf = conf(&node);
    for _ in 0..5 {
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        let other = node.pod();
        thread::scope(|scope| {
            scope.spawn(|| node.del(&attached).ok());
            scope.spawn(|| node.del(&attached).ok());
            scope.spawn(|| node.add(&conf, &other, "eth0"));
        });
        node.del(&node.unheard(&conf, &other)).ok();
        assert_eq!(home(&node, "dev0"), was);
        assert_eq!(records(&node), [""; 0]);
    }
}
