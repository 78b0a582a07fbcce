//! Every verb fails and dies at every one of its changes of the world; afterwards a DEL brings the
//! node back to what it was.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, Snapshot, need};

use super::{portmap, tcp, udp};
use crate::conf::with;
use crate::walk::{Fault, points};

/// A node with a route to containers that portmap believes in: it never looks into them.
struct Ground {
    node: Node,
    own: Value,
    /// With somebody else in the table, or without.
    resident: Option<Attachment>,
    idle: Snapshot,
}

impl Ground {
    fn new(inhabited: bool, own: Value) -> Self {
        let node = Node::new();
        node.batch("link add br0 type bridge\naddr add 10.1.0.1/24 dev br0\naddr add fd00:1::1/64 dev br0 nodad\nlink set br0 up\n");
        let resident = inhabited
            .then(|| node.attach(&conf(&portmap(&[tcp(1, 1), local(tcp(2, 2))]), 9), &node.pod()));
        Self { idle: node.snapshot(), node, own, resident }
    }

    fn all() -> impl Iterator<Item = Self> {
        let several = portmap(&[tcp(8080, 80), udp(5353, 53), local(tcp(8081, 81))]);
        let conditional = json!({"conditionsV4": ["ip saddr 10.0.0.0/8"], "masqAll": true});
        let conditional = with(several.clone(), conditional);
        [(false, &several), (true, &several), (true, &conditional)]
            .map(|(inhabited, own)| Self::new(inhabited, own.clone()))
            .into_iter()
    }

    fn conf(&self) -> Value {
        conf(&self.own, 5)
    }

    #[track_caller]
    fn clean(&self, what: &str, attached: &Attachment) {
        self.node.del(attached).ok();
        self.is_idle(what);
    }

    #[track_caller]
    fn is_idle(&self, what: &str) {
        let difference = self.idle.difference(&self.node.snapshot());
        assert!(difference.is_empty(), "{what} left:\n{difference}");
        if let Some(resident) = &self.resident {
            self.node.check(resident).ok();
        }
    }

    #[track_caller]
    fn works(&self, what: &str, pod: &Pod) {
        let attached = self.node.attach(&self.conf(), pod);
        let check = self.node.check(&attached);
        assert!(check.succeeded(), "after {what} a CHECK fails: {check}");
        self.clean(what, &attached);
    }
}

fn local(mapping: Value) -> Value {
    with(mapping, json!({"hostIP": "127.0.0.1"}))
}

fn conf(own: &Value, host: u8) -> Value {
    let result = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "eth0", "sandbox": "/run/netns/somewhere"}],
        "ips": [
            {"address": format!("10.1.0.{host}/24"), "interface": 0},
            {"address": format!("fd00:1::{host}/64"), "interface": 0},
        ],
    });
    with(own.clone(), json!({"prevResult": result}))
}

/// Connections that are tracked add a point, and come and go: so the last points may not be there.
#[track_caller]
fn obeyed(what: &str, fault: Fault, output: &testkit::Output) {
    match fault {
        Fault::Die => assert!(output.died() || output.succeeded(), "{what}: {output}"),
        Fault::Fail if output.succeeded() => {}
        Fault::Fail => drop(output.fails()),
    }
}

#[test]
fn add_at_every_point() {
    need!(Nft, Speed);
    for ground in Ground::all() {
        let (node, conf, pod) = (&ground.node, ground.conf(), ground.node.pod());
        let count = points(&node.add_call(&conf, &pod, "eth0"));
        assert!(count >= 4, "an ADD passes {count} points only");
        ground.clean("nothing", &node.unheard(&conf, &pod));
        for fault in [Fault::Fail, Fault::Die] {
            for at in 1..=count {
                let what = format!("ADD with {}", fault.order(at));
                let output = node.add_call(&conf, &pod, "eth0").fault(&fault.order(at)).run();
                obeyed(&what, fault, &output);
                if fault == Fault::Fail && !output.succeeded() {
                    ground.is_idle(&what);
                }
                ground.clean(&what, &node.unheard(&ground.own, &pod));
                ground.works(&what, &pod);
            }
        }
    }
}

#[test]
fn another_networks_add_and_del_at_every_point() {
    need!(Nft, Speed);
    let ground = Ground::new(true, portmap(&[tcp(8080, 80), local(tcp(8081, 81))]));
    let (node, pod) = (&ground.node, ground.node.pod());
    let first = node.attach(&ground.conf(), &pod);
    let idle = node.snapshot();
    let mut conf = with(conf(&ground.own, 6), json!({"name": "net2"}));
    conf["prevResult"]["interfaces"][0]["name"] = json!("eth1");
    let second = Attachment { ifname: "eth1".to_owned(), ..node.unheard(&conf, &pod) };
    let clean = |what: &str| {
        node.del(&second).ok();
        let difference = idle.difference(&node.snapshot());
        assert!(difference.is_empty(), "{what} left:\n{difference}");
        node.check(&first).ok();
    };
    let count = points(&node.add_call(&conf, &pod, "eth1"));
    clean("nothing");
    for fault in [Fault::Fail, Fault::Die] {
        for at in 1..=count {
            let what = format!("ADD with {}", fault.order(at));
            let output = node.add_call(&conf, &pod, "eth1").fault(&fault.order(at)).run();
            obeyed(&what, fault, &output);
            let made = node.attach_as(&conf, &pod, "eth1");
            node.check(&made).ok();
            obeyed(&what, fault, &node.del_call(&made).fault(&fault.order(at)).run());
            clean(&what);
        }
    }
}

#[test]
fn del_at_every_point() {
    need!(Nft, Speed);
    for ground in Ground::all() {
        let (node, conf, pod) = (&ground.node, ground.conf(), ground.node.pod());
        let count = points(&node.del_call(&node.attach(&conf, &pod)));
        for fault in [Fault::Fail, Fault::Die] {
            for at in 1..=count {
                let what = format!("DEL with {}", fault.order(at));
                let attached = node.attach(&conf, &pod);
                obeyed(&what, fault, &node.del_call(&attached).fault(&fault.order(at)).run());
                ground.clean(&what, &attached);
            }
        }
        ground.works("DEL", &pod);
    }
}

#[test]
fn check_at_every_point() {
    need!(Nft, Speed);
    for ground in Ground::all() {
        let (node, pod) = (&ground.node, ground.node.pod());
        let attached = node.attach(&ground.conf(), &pod);
        let before = node.snapshot();
        let count = points(&node.check_call(&attached));
        for fault in [Fault::Fail, Fault::Die] {
            for at in 1..=count {
                let what = format!("CHECK with {}", fault.order(at));
                obeyed(&what, fault, &node.check_call(&attached).fault(&fault.order(at)).run());
                before.assert_same(&node.snapshot());
            }
        }
        ground.clean("CHECK", &attached);
    }
}

#[test]
fn gc_at_every_point() {
    need!(Nft, Speed);
    for ground in Ground::all() {
        let (node, conf, pod) = (&ground.node, ground.conf(), ground.node.pod());
        let kept: Vec<&Attachment> = ground.resident.iter().collect();
        node.attach(&conf, &pod);
        let count = points(&node.gc_call(&ground.own, &kept));
        for fault in [Fault::Fail, Fault::Die] {
            for at in 1..=count {
                let what = format!("GC with {}", fault.order(at));
                node.attach(&conf, &pod);
                let output = node.gc_call(&ground.own, &kept).fault(&fault.order(at)).run();
                obeyed(&what, fault, &output);
                node.gc(&ground.own, &kept).ok();
                ground.is_idle(&what);
            }
        }
    }
}
