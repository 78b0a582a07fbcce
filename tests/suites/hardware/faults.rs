//! Every verb fails and is killed at every one of its changes of the world: no VF is lost, none is left
//! configured.

use serde_json::{Value, json};
use testkit::{Attachment, Output, Pod, need};

use super::Ground;
use crate::walk::{Fault, points};

/// The processor is emulated, and the kernel takes its time to end a namespace: where a verb fails, and where
/// a killed one's pod is gone for good, every so many points are tried. Those at which a verb is killed and a
/// DEL follows are tried all.
const STRIDE: usize = 5;

fn conf(ground: &Ground) -> Value {
    ground.conf(
        0,
        json!({
            "mac": "02:11:22:33:44:ab", "vlan": 100, "max_tx_rate": 10, "spoofchk": "off", "trust": "on",
            "mtu": 1400, "allmulti": true, "ipam": ground.node.host_local(&["10.9.3.0/24"]),
        }),
    )
}

/// What a runtime knows of an ADD of which it never heard.
fn unheard(ground: &Ground, conf: &Value, pod: &Pod) -> Attachment {
    Attachment { ifname: "net1".to_owned(), ..ground.node.unheard(conf, pod) }
}

/// Killed. A carrier that is late makes some waits longer than the one that was counted, so that at the end
/// one may have got through.
#[track_caller]
fn is_dead(output: &Output, at: usize) {
    assert!(output.died() || output.succeeded(), "die:{at}: {output}");
}

/// How many changes an ADD makes, and a DEL.
fn count(ground: &Ground, conf: &Value) -> (usize, usize) {
    let pod = Pod::new();
    let add = points(&ground.call("ADD", conf, &pod));
    let del = points(&ground.call("DEL", conf, &pod));
    ground.is_as_before(&pod);
    (add, del)
}

#[test]
fn an_add_that_is_killed_anywhere_is_mended_by_a_del() {
    need!(Sriov);
    let ground = Ground::new(1);
    let conf = conf(&ground);
    for at in 1..=count(&ground, &conf).0 {
        let pod = Pod::new();
        let output = ground.call("ADD", &conf, &pod).fault(&Fault::Die.order(at)).run();
        is_dead(&output, at);
        ground.node.del(&unheard(&ground, &conf, &pod)).ok();
        ground.is_as_before(&pod);
        assert_eq!(ground.node.leased("net"), [""; 0], "die:{at}");
    }
}

#[test]
fn an_add_that_is_killed_anywhere_is_mended_by_the_next_pods() {
    need!(Sriov);
    let ground = Ground::new(1);
    let conf = conf(&ground);
    for at in (1..=count(&ground, &conf).0).step_by(STRIDE) {
        let mut pod = Pod::new();
        let output = ground.call("ADD", &conf, &pod).fault(&Fault::Die.order(at)).run();
        is_dead(&output, at);
        let late = unheard(&ground, &conf, &pod);
        pod.remove();
        let next = Pod::new();
        let attached = ground.attach(&ground.conf(0, json!({"vlan": 7})), &next);
        assert_eq!(ground.pf.info(0)["trust"], false, "die:{at}");
        ground.node.check(&attached).ok();
        ground.node.del(&late).ok();
        ground.node.check(&attached).ok();
        ground.node.del(&attached).ok();
        ground.is_as_before(&next);
    }
}

#[test]
fn an_add_that_fails_anywhere_has_taken_all_back() {
    need!(Sriov);
    let ground = Ground::new(1);
    let conf = conf(&ground);
    for at in (1..=count(&ground, &conf).0).step_by(STRIDE) {
        let pod = Pod::new();
        let output = ground.call("ADD", &conf, &pod).fault(&Fault::Fail.order(at)).run();
        // Some changes it can do without.
        if output.succeeded() {
            let attached = ground.node.attached(&conf, &pod, "net1", &output);
            ground.node.check(&attached).ok();
            ground.node.del(&attached).ok();
        } else {
            output.fails();
        }
        ground.is_as_before(&pod);
        assert_eq!(ground.node.leased("net"), [""; 0], "fail:{at}");
    }
}

#[test]
fn a_del_that_is_killed_or_fails_anywhere_is_finished_by_the_next() {
    need!(Sriov);
    let ground = Ground::new(1);
    let conf = conf(&ground);
    for (fault, stride) in [(Fault::Die, 1), (Fault::Fail, STRIDE)] {
        for at in (1..=count(&ground, &conf).1).step_by(stride) {
            let pod = Pod::new();
            let attached = ground.attach(&conf, &pod);
            let output = ground.node.del_call(&attached).fault(&fault.order(at)).run();
            match fault {
                Fault::Die => is_dead(&output, at),
                Fault::Fail if output.succeeded() => {}
                Fault::Fail => drop(output.fails()),
            }
            ground.node.del(&attached).ok();
            ground.is_as_before(&pod);
            assert_eq!(ground.node.leased("net"), [""; 0], "{}", fault.order(at));
        }
    }
}
