//! Every verb fails and dies at every one of its changes of the world. Whatever comes next, the device is
//! not lost, and in the end it is what it was.

use serde_json::{Value, json};
use testkit::{Node, need};

use super::{bare, device, home, node, records};
use crate::conf::{DUAL, with};
use crate::walk::{Fault, Network, adds, checks, dels, points};

/// Everything that host-device can do to a link on this kernel.
const NETWORK: Network = |node| {
    device(node, "dev0", "far0");
    node.batch(
        "link set dev0 address 02:00:00:00:0d:01 mtu 1400\nlink set dev0 alias uplink-A\n\
         link property add dev dev0 altname enp1s0f0v0\n\
         link property add dev dev0 altname eth0\n\
         link set dev0 up\nlink set far0 up\naddr add 10.9.0.7/24 dev dev0\n\
         route add 10.77.0.0/16 via 10.9.0.1 dev dev0\n",
    );
    let asked = json!({
        "useInterfaceNetwork": true, "mac": "02:00:00:00:0d:99", "mtu": 1300, "allmulti": true,
        "promisc": true, "ipam": node.host_local(DUAL),
    });
    with(super::conf(node), asked)
};

#[test]
fn add_at_every_point() {
    need!(Speed);
    adds(NETWORK, 1);
}

#[test]
fn del_at_every_point() {
    need!(Speed);
    dels(NETWORK, 1);
}

#[test]
fn check_at_every_point() {
    need!(Speed);
    checks(NETWORK);
}

#[test]
fn gc_at_every_point() {
    need!(Speed);
    for fault in [Fault::Fail, Fault::Die] {
        let node = Node::new();
        let conf = NETWORK(&node);
        let pod = node.pod();
        node.del(&node.attach(&conf, &pod)).ok();
        let idle = node.snapshot();
        node.attach(&conf, &pod);
        let count = points(&node.gc_call(&conf, &[]));
        for at in 1..=count {
            node.attach(&conf, &pod);
            node.gc_call(&conf, &[]).fault(&fault.order(at)).run();
            // The next collection takes what this one left.
            node.gc(&conf, &[]).ok();
            let difference = idle.difference(&node.snapshot());
            assert!(difference.is_empty(), "GC with {}:\n{difference}", fault.order(at));
        }
    }
}

/// What becomes of a device whose ADD or DEL was killed, when another container comes before anybody has
/// cleaned up.
fn interrupted(node: &Node, conf: &Value, was: &Value, what: &str, first: &testkit::Attachment) {
    let other = node.pod();
    let output = node.add(conf, &other, "eth0");
    let second = node.unheard(conf, &other);
    if output.succeeded() {
        // The first one's DEL comes late: the device is another's now.
        node.del(first).ok();
        let attached = node.attached(conf, &other, "eth0", &output);
        node.check(&attached).ok();
    } else {
        let error = output.fails();
        assert_eq!(error.code, 11, "{what}: {error}");
        assert!(error.text().contains(&first.container), "{what}: {error}");
    }
    node.del(&second).ok();
    node.del(first).ok();
    assert_eq!(home(node, "dev0"), *was, "{what}");
    assert_eq!(records(node), [""; 0], "{what}");
    assert_eq!(node.leased("net"), [""; 0], "{what}");
}

#[test]
fn another_container_that_comes_after_a_killed_add_loses_no_device() {
    need!(Speed);
    let node = Node::new();
    let conf = NETWORK(&node);
    let was = home(&node, "dev0");
    let counted = node.pod();
    let count = points(&node.add_call(&conf, &counted, "eth0"));
    node.del(&node.unheard(&conf, &counted)).ok();
    for at in 1..=count {
        let pod = node.pod();
        let what = format!("ADD with die:{at}");
        node.add_call(&conf, &pod, "eth0").fault(&format!("die:{at}")).run();
        interrupted(&node, &conf, &was, &what, &node.unheard(&conf, &pod));
    }
}

#[test]
fn another_container_that_comes_after_a_killed_del_loses_no_device() {
    need!(Speed);
    let node = Node::new();
    let conf = NETWORK(&node);
    let was = home(&node, "dev0");
    let count = points(&node.del_call(&node.attach(&conf, &node.pod())));
    for at in 1..=count {
        let pod = node.pod();
        let attached = node.attach(&conf, &pod);
        let what = format!("DEL with die:{at}");
        node.del_call(&attached).fault(&format!("die:{at}")).run();
        interrupted(&node, &conf, &was, &what, &attached);
    }
}

#[test]
fn a_container_that_died_with_its_add_blocks_nobody() {
    need!(Speed);
    let node = node();
    let conf = bare(&node);
    let counted = node.pod();
    let count = points(&node.add_call(&conf, &counted, "eth0"));
    node.del(&node.unheard(&conf, &counted)).ok();
    for at in 1..=count {
        let mut pod = node.pod();
        node.add_call(&conf, &pod, "eth0").fault(&format!("die:{at}")).run();
        pod.remove();
        // An end of a pair dies with its namespace, a little later.
        while node.link("far0").is_some() != node.link("dev0").is_some() {}
        if node.link("dev0").is_none() {
            device(&node, "dev0", "far0");
        }
        let other = node.pod();
        let attached = node.attach(&conf, &other);
        node.check(&attached).ok();
        node.del(&attached).ok();
        assert_eq!(records(&node), [""; 0], "die:{at}");
        assert!(node.link("dev0").is_some(), "die:{at}");
    }
}
