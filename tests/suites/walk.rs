//! A verb fails or dies at every one of its changes of the world; afterwards a DEL brings the node
//! back to what it was.

use serde_json::Value;
use testkit::{Attachment, Call, Feature, Node, Pod, Snapshot};

/// Makes a network's configuration for a node.
pub type Network = fn(&Node) -> Value;

/// What is ordered at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Fail,
    Die,
}

impl Fault {
    pub fn order(self, at: usize) -> String {
        match self {
            Self::Fail => format!("fail:{at}"),
            Self::Die => format!("die:{at}"),
        }
    }
}

/// Every point; where the processor is emulated, which would take long for all, each `some`-th.
pub fn stride(some: usize) -> usize {
    if Feature::Speed.missing().is_some() { some } else { 1 }
}

/// A node on which the network has been used before, and what it has while nobody does.
pub struct Ground {
    pub node: Node,
    pub conf: Value,
    idle: Snapshot,
}

impl Ground {
    pub fn new(network: Network) -> Self {
        let node = Node::new();
        let conf = network(&node);
        let pod = node.pod();
        node.del(&node.attach(&conf, &pod)).ok();
        Self { idle: node.snapshot(), node, conf }
    }

    /// DEL until nothing is left: what a runtime does after anything went wrong.
    #[track_caller]
    fn clean(&self, what: &str, attached: &Attachment, pod: &Pod) {
        self.node.del(attached).ok();
        let difference = self.idle.difference(&self.node.snapshot());
        assert!(difference.is_empty(), "after {what} and a DEL:\n{difference}");
        assert_eq!(pod.links(), ["lo"], "after {what} and a DEL");
    }

    /// An ADD that must succeed whatever happened before, and that is whole.
    #[track_caller]
    fn works(&self, what: &str, pod: &Pod) {
        let output = self.node.add(&self.conf, pod, "eth0");
        assert!(output.succeeded(), "after {what} an ADD fails: {output}");
        let attached = self.node.attached(&self.conf, pod, "eth0", &output);
        let check = self.node.check(&attached);
        assert!(check.succeeded(), "after {what} a CHECK fails: {check}");
        self.clean(what, &attached, pod);
    }
}

/// The points that a call passes when nothing goes wrong.
pub fn points(call: &Call<'_>) -> usize {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let order = format!("count:{}", file.path().display());
    call.clone().fault(&order).run().ok();
    let count = std::fs::read_to_string(file.path()).expect("the points").lines().count();
    assert!(count < 500, "{count} points");
    count
}

/// A call that was ordered to fail says so; one that was ordered to die is dead. One may succeed
/// in spite of a failure where it does without what failed.
#[track_caller]
pub fn obeyed(what: &str, fault: Fault, output: &testkit::Output) {
    match fault {
        Fault::Die => assert!(output.died(), "{what}: {output}"),
        Fault::Fail if output.succeeded() => {}
        Fault::Fail => drop(output.fails()),
    }
}

/// ADD at every `stride`-th point.
pub fn adds(network: Network, stride: usize) {
    for fault in [Fault::Fail, Fault::Die] {
        let ground = Ground::new(network);
        let (node, conf) = (&ground.node, &ground.conf);
        let counted = node.pod();
        let count = points(&node.add_call(conf, &counted, "eth0"));
        ground.clean("nothing", &node.unheard(conf, &counted), &counted);
        for at in (1..=count).step_by(stride) {
            let (pod, what) = (node.pod(), format!("ADD with {}", fault.order(at)));
            let output = node.add_call(conf, &pod, "eth0").fault(&fault.order(at)).run();
            obeyed(&what, fault, &output);
            if fault == Fault::Fail && !output.succeeded() && conf["type"] != "loopback" {
                // A failed ADD has already undone what it did.
                let difference = ground.idle.difference(&node.snapshot());
                assert!(difference.is_empty(), "{what} left\n{difference}\n{output}");
                assert_eq!(pod.links(), ["lo"], "{what}");
            }
            ground.clean(&what, &node.unheard(conf, &pod), &pod);
            if fault == Fault::Die {
                ground.works(&what, &pod);
            }
        }
    }
}

/// DEL at every `stride`-th point.
pub fn dels(network: Network, stride: usize) {
    for fault in [Fault::Fail, Fault::Die] {
        let ground = Ground::new(network);
        let (node, conf) = (&ground.node, &ground.conf);
        let counted = node.pod();
        let count = points(&node.del_call(&node.attach(conf, &counted)));
        for at in (1..=count).step_by(stride) {
            let (pod, what) = (node.pod(), format!("DEL with {}", fault.order(at)));
            let attached = node.attach(conf, &pod);
            obeyed(&what, fault, &node.del_call(&attached).fault(&fault.order(at)).run());
            ground.clean(&what, &attached, &pod);
            ground.works(&what, &pod);
        }
    }
}

/// CHECK at every point.
pub fn checks(network: Network) {
    for fault in [Fault::Fail, Fault::Die] {
        let ground = Ground::new(network);
        let node = &ground.node;
        let pod = node.pod();
        let attached = node.attach(&ground.conf, &pod);
        let before = node.snapshot();
        let count = points(&node.check_call(&attached));
        for at in 1..=count {
            let what = format!("CHECK with {}", fault.order(at));
            let output = node.check_call(&attached).fault(&fault.order(at)).run();
            obeyed(&what, fault, &output);
            let difference = before.difference(&node.snapshot());
            assert!(difference.is_empty(), "{what} changed\n{difference}");
            node.check(&attached).ok();
        }
        ground.clean("CHECK", &attached, &pod);
    }
}

/// GC at every point.
pub fn collections(network: Network) {
    for fault in [Fault::Fail, Fault::Die] {
        let ground = Ground::new(network);
        let (node, conf) = (&ground.node, &ground.conf);
        let kept_by = node.pod();
        let kept = node.attach(conf, &kept_by);
        let before = node.snapshot();
        let counted = node.pod();
        node.attach(conf, &counted);
        let count = points(&node.gc_call(conf, &[&kept]));
        for at in 1..=count {
            let (pod, what) = (node.pod(), format!("GC with {}", fault.order(at)));
            node.attach(conf, &pod);
            let output = node.gc_call(conf, &[&kept]).fault(&fault.order(at)).run();
            obeyed(&what, fault, &output);
            node.check(&kept).ok();
            // The next collection takes what this one left.
            node.gc(conf, &[&kept]).ok();
            let difference = before.difference(&node.snapshot());
            assert!(difference.is_empty(), "after {what} and a GC:\n{difference}");
        }
        ground.clean("GC", &kept, &kept_by);
    }
}
