//! Several pods at once.

use std::sync::Barrier;
use std::thread;

use serde_json::json;
use testkit::{Pod, need};

use super::Ground;

const VFS: u8 = 4;

#[test]
fn of_two_pods_one_gets_the_vf() {
    need!(Sriov);
    let ground = Ground::new(1);
    for round in 0..3 {
        let pods = [Pod::new(), Pod::new()];
        let start = Barrier::new(2);
        let conf = |n: usize| {
            ground.conf(0, json!({"vlan": 100 + n, "mac": format!("02:00:00:00:02:{n:02x}")}))
        };
        let outputs = thread::scope(|scope| {
            let add = |n: usize| {
                let (ground, pod, start, conf) = (&ground, &pods[n], &start, conf(n));
                scope.spawn(move || {
                    start.wait();
                    ground.call("ADD", &conf, pod).run()
                })
            };
            [add(0), add(1)].map(|thread| thread.join().expect("an ADD"))
        });
        let won: Vec<usize> = (0..2).filter(|n| outputs[*n].succeeded()).collect();
        let [winner] = won[..] else {
            panic!("round {round}: {won:?} got the VF\n{}\n{}", outputs[0], outputs[1])
        };
        let loser = 1 - winner;
        outputs[loser].fails().is(11, &[&ground.pf.vf(0), &pods[winner].id]);
        let attached = ground.node.attached(&conf(winner), &pods[winner], "net1", &outputs[winner]);
        ground.node.check(&attached).ok();
        assert_eq!(ground.pf.info(0)["vlan_list"][0]["vlan"], 100 + winner);
        assert_eq!(pods[loser].links(), ["lo"]);
        ground.call("DEL", &conf(loser), &pods[loser]).run().ok();
        ground.node.check(&attached).ok();
        ground.node.del(&attached).ok();
        ground.is_as_before(&pods[winner]);
    }
}

#[test]
fn all_vfs_of_an_adapter_come_and_go_at_once() {
    need!(Sriov);
    let ground = Ground::new(VFS.into());
    let pods: Vec<Pod> = (0..VFS).map(|_| Pod::new()).collect();
    thread::scope(|scope| {
        for number in 0..VFS {
            let (ground, pod) = (&ground, &pods[usize::from(number)]);
            scope.spawn(move || {
                let mac = format!("02:00:00:00:03:{number:02x}");
                let conf = ground.conf(number, json!({"mac": mac, "vlan": 100, "trust": "on"}));
                for _ in 0..2 {
                    let attached = ground.attach(&conf, pod);
                    assert_eq!(ground.pf.info(number.into())["address"], mac);
                    ground.node.check(&attached).ok();
                    ground.node.del(&attached).ok();
                }
            });
        }
    });
    ground.is_as_before(&pods[0]);
}

#[test]
fn of_two_vfs_one_gets_the_address() {
    need!(Sriov);
    let ground = Ground::new(2);
    let pods = [Pod::new(), Pod::new()];
    let start = Barrier::new(2);
    let conf = |n: u8| ground.conf(n, json!({"mac": "02:00:00:00:04:01"}));
    let outputs = thread::scope(|scope| {
        let add = |n: u8| {
            let (ground, pod, start) = (&ground, &pods[usize::from(n)], &start);
            let conf = conf(n);
            scope.spawn(move || {
                start.wait();
                ground.call("ADD", &conf, pod).run()
            })
        };
        [add(0), add(1)].map(|thread| thread.join().expect("an ADD"))
    });
    let lost = outputs.iter().position(|output| !output.succeeded());
    let lost = lost.expect("two VFs of an adapter have one address");
    outputs[lost].fails().is(7, &["02:00:00:00:04:01", "VF"]);
    outputs[1 - lost].ok();
    assert_eq!(pods[lost].links(), ["lo"]);
    for n in [0, 1] {
        ground.call("DEL", &conf(n), &pods[usize::from(n)]).run().ok();
    }
    ground.is_as_before(&pods[0]);
}
