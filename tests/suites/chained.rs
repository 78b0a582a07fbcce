//! The ground for plugins that follow another one in a network's list, and what all of them must stand:
//! faults at every point, and every condition that a runtime leaves behind.

use std::fmt::Write as _;

use serde_json::{Value, json};
use testkit::{Attachment, Netns, Node, Pod, Snapshot};

use crate::conf::{DUAL, ptp, with};
use crate::walk::{Fault, obeyed, points, stride};

/// Makes the plugin's configuration for a node.
pub type Plugin = fn(&Node) -> Value;

/// A node with a container that the first plugin of the list has joined.
pub struct Ground {
    pub node: Node,
    pub pod: Pod,
    /// What the first plugin made.
    pub first: Attachment,
    /// The node before it.
    bare: Snapshot,
}

/// The configuration of the plugin `kind`, without a previous result.
pub fn conf(kind: &str, more: Value) -> Value {
    with(json!({"cniVersion": "1.1.0", "name": "net", "type": kind}), more)
}

impl Ground {
    pub fn new() -> Self {
        Self::behind(|node| ptp(node, DUAL))
    }

    /// Behind another first plugin.
    pub fn behind(first: impl Fn(&Node) -> Value) -> Self {
        let node = Node::new();
        let conf = first(&node);
        let pod = node.pod();
        node.del(&node.attach(&conf, &pod)).ok();
        let bare = node.snapshot();
        let first = node.attach(&conf, &pod);
        Self { node, pod, first, bare }
    }

    /// The configuration as it comes to this container's ADD.
    pub fn with_result(&self, conf: &Value) -> Value {
        with(conf.clone(), json!({"prevResult": self.first.result}))
    }

    /// ADD that must succeed. The attachment's configuration has no previous result of its own.
    #[track_caller]
    pub fn attach(&self, conf: &Value) -> Attachment {
        let made = self.node.attach(&self.with_result(conf), &self.pod);
        Attachment { conf: conf.clone(), ..made }
    }

    /// Another container of the same network.
    pub fn another(&self) -> (Pod, Attachment) {
        let pod = self.node.pod();
        let first = self.node.attach(&self.first.conf, &pod);
        (pod, first)
    }

    /// All that a plugin of a list could change: on the node and in the container.
    pub fn state(&self) -> String {
        let mut text = self.outside();
        if self.pod.exists() {
            text += &inside(&self.pod);
        }
        text
    }

    /// What is on the node.
    pub fn outside(&self) -> String {
        shown("node", &self.node.snapshot())
    }

    /// The container goes, and the first plugin's DEL with it: the node must be as before it came.
    #[track_caller]
    fn ends(mut self, what: &str) {
        if self.pod.exists() {
            self.pod.remove();
        }
        self.node.del(&self.first).ok();
        self.node.settles_to(&self.bare);
        assert_eq!(queues(&self.node), queues(&Node::new()), "{what}");
    }
}

/// What is in a container's namespace.
pub fn inside(pod: &Pod) -> String {
    let nothing = tempfile::tempdir().expect("a directory");
    let mut text = shown("pod", &Snapshot::take(pod, nothing.path()));
    for link in pod.ip(&["link"]).as_array().expect("links") {
        let flags = link["flags"].as_array().expect("flags");
        let all = flags.contains(&json!("ALLMULTI"));
        let _ = writeln!(text, "pod {} queue {} all {all}", link["ifname"], link["txqlen"]);
    }
    for name in
        ["net/core/somaxconn", "net/ipv4/conf/eth0/arp_filter", "net/ipv4/ip_local_port_range"]
    {
        if pod.link("eth0").is_some() {
            let _ = writeln!(text, "pod {name} {}", pod.sysctl(name));
        }
    }
    text
}

fn shown(whose: &str, snapshot: &Snapshot) -> String {
    let sections =
        ["links", "addresses", "routes", "rules", "neighbours", "fdb", "nft", "files"].into_iter();
    sections.fold(String::new(), |mut text, name| {
        // The kernel's rule for VRFs stays from the first one on.
        for line in snapshot.section(name).iter().filter(|line| !line.contains("l3mdev")) {
            let _ = writeln!(text, "{whose} {name} {line}");
        }
        text
    })
}

/// The queueing disciplines and filters of a namespace.
pub fn queues(netns: &Netns) -> String {
    let mut text = netns.run(&["tc", "qdisc"]);
    for link in netns.links() {
        for parent in ["root", "ingress"] {
            // A link without such a discipline has no filters there.
            let filters = netns.try_run(&["tc", "filter", "show", "dev", &link, parent]);
            text += &filters.unwrap_or_default();
        }
    }
    text
}

/// A state, after a process was killed: what the kernel took from an interface while it got its VRF is
/// known to nobody then.
fn after(fault: Fault, conf: &Value, state: String) -> String {
    if fault == Fault::Fail || conf["type"] != "vrf" {
        return state;
    }
    let lines = state.lines().filter(|line| !line.starts_with("pod routes"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// Compares two states by line.
#[track_caller]
pub fn same(what: &str, before: &str, after: &str) {
    let minus = before.lines().filter(|line| !after.lines().any(|other| other == *line));
    let plus = after.lines().filter(|line| !before.lines().any(|other| other == *line));
    let lines: Vec<String> =
        minus.map(|l| format!("- {l}")).chain(plus.map(|l| format!("+ {l}"))).collect();
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

/// A ground where the plugin has been used before, its configuration, and the state while it is not.
fn ready(plugin: Plugin) -> (Ground, Value, String) {
    let ground = Ground::new();
    let conf = plugin(&ground.node);
    ground.node.del(&ground.attach(&conf)).ok();
    let idle = ground.state();
    (ground, conf, idle)
}

/// ADD at every point (see [`stride`]), each in a container of its own.
pub fn adds(plugin: Plugin) {
    for fault in [Fault::Fail, Fault::Die] {
        let (ground, conf, _) = ready(plugin);
        let node = &ground.node;
        let count = {
            let (pod, first) = ground.another();
            let conf = with(conf.clone(), json!({"prevResult": first.result}));
            let count = points(&node.add_call(&conf, &pod, "eth0"));
            node.del(&node.unheard(&conf, &pod)).ok();
            node.del(&first).ok();
            count
        };
        for at in (1..=count).step_by(stride(3)) {
            let what = format!("ADD with {}", fault.order(at));
            let (pod, first) = ground.another();
            let conf = with(conf.clone(), json!({"prevResult": first.result}));
            let unheard = node.unheard(&conf, &pod);
            let state = || ground.outside() + &inside(&pod);
            let idle = (state(), queues(node));
            let output = node.add_call(&conf, &pod, "eth0").fault(&fault.order(at)).run();
            obeyed(&what, fault, &output);
            if fault == Fault::Fail && !output.succeeded() {
                same(&format!("{what} left ({output})"), &idle.0, &state());
                same(&format!("{what} left ({output})"), &idle.1, &queues(node));
            }
            node.del(&unheard).ok();
            let idle = after(fault, &conf, idle.0);
            same(&format!("after {what} and a DEL"), &idle, &after(fault, &conf, state()));
            if fault == Fault::Die {
                let attached = node.attach(&conf, &pod);
                node.check(&attached).ok();
                node.del(&attached).ok();
                let now = after(fault, &conf, state());
                same(&format!("after {what}, an ADD and a DEL"), &idle, &now);
            }
            node.del(&first).ok();
        }
    }
}

/// DEL at every point.
pub fn dels(plugin: Plugin) {
    for fault in [Fault::Fail, Fault::Die] {
        let (mut ground, mut conf, mut idle) = ready(plugin);
        let count = points(&ground.node.del_call(&ground.attach(&conf)));
        for at in (1..=count).step_by(stride(3)) {
            let what = format!("DEL with {}", fault.order(at));
            if fault == Fault::Die && conf["type"] == "vrf" {
                // The one before may have left less to do (see `after`).
                (ground, conf, idle) = ready(plugin);
            }
            let node = &ground.node;
            let attached = ground.attach(&conf);
            obeyed(&what, fault, &node.del_call(&attached).fault(&fault.order(at)).run());
            node.del(&attached).ok();
            let now = after(fault, &conf, ground.state());
            same(&format!("after {what} and a DEL"), &after(fault, &conf, idle.clone()), &now);
        }
    }
}

/// CHECK at every point.
pub fn checks(plugin: Plugin) {
    for fault in [Fault::Fail, Fault::Die] {
        let (ground, conf, _) = ready(plugin);
        let node = &ground.node;
        let attached = ground.attach(&conf);
        let before = ground.state();
        for at in (1..=points(&node.check_call(&attached))).step_by(stride(3)) {
            let what = format!("CHECK with {}", fault.order(at));
            obeyed(&what, fault, &node.check_call(&attached).fault(&fault.order(at)).run());
            same(&format!("{what} changed"), &before, &ground.state());
            node.check(&attached).ok();
        }
    }
}

/// GC at every point.
pub fn collections(plugin: Plugin) {
    for fault in [Fault::Fail, Fault::Die] {
        let (ground, conf, _) = ready(plugin);
        let node = &ground.node;
        let kept = ground.attach(&conf);
        let (pod, first) = ground.another();
        let before = (ground.state(), inside(&pod));
        let conf_there = with(conf.clone(), json!({"prevResult": first.result}));
        node.attach(&conf_there, &pod);
        let count = points(&node.gc_call(&conf, &[&kept]));
        for at in (1..=count).step_by(stride(3)) {
            let what = format!("GC with {}", fault.order(at));
            node.add(&conf_there, &pod, "eth0").ok();
            let output = node.gc_call(&conf, &[&kept]).fault(&fault.order(at)).run();
            obeyed(&what, fault, &output);
            node.check(&kept).ok();
            // The next collection takes what this one left.
            node.gc(&conf, &[&kept]).ok();
            same(&format!("after {what} and a GC"), &before.0, &ground.state());
            node.del(&node.unheard(&conf_there, &pod)).ok();
            same(&format!("after {what} and a DEL"), &before.1, &inside(&pod));
        }
    }
}

/// DEL twice, of what never was, without a namespace, without a result, with a configuration that could
/// not ADD any more (`broken`): the container is as before, where it still is, and the node is.
pub fn teardown(plugin: Plugin, broken: &[Value]) {
    let (ground, conf, idle) = ready(plugin);
    let node = &ground.node;
    let attached = ground.attach(&conf);
    for _ in 0..2 {
        node.del(&attached).ok();
        same("after DEL", &idle, &ground.state());
    }
    let never = Attachment { container: "never".to_owned(), ..node.unheard(&conf, &ground.pod) };
    node.del(&never).ok();
    node.del_call(&never).without("CNI_NETNS").run().ok();
    same("after a DEL of what never was", &idle, &ground.state());

    ground.attach(&conf);
    node.del(&node.unheard(&conf, &ground.pod)).ok();
    same("after a DEL without a result", &idle, &ground.state());

    for change in broken {
        let mut attached = ground.attach(&conf);
        attached.conf = with(conf.clone(), change.clone());
        node.del(&attached).ok();
        same(&format!("after a DEL with {change}"), &idle, &ground.state());
    }

    // Another container's attachment is nobody's business.
    let attached = ground.attach(&conf);
    let with_it = ground.state();
    node.del_call(&never).env("CNI_NETNS", "").run().ok();
    let there = node.del_call(&never).env("CNI_NETNS", ground.pod.path()).ifname("eth7").run();
    there.ok();
    same("after a late DEL", &with_it, &ground.state());
    node.check(&attached).ok();
    ground.ends_with(&attached, &conf);
}

impl Ground {
    /// The namespace goes before DEL: with its path told, and with an empty one.
    #[track_caller]
    fn ends_with(mut self, attached: &Attachment, conf: &Value) {
        self.pod.remove();
        self.node.del(attached).ok();
        self.node.del_call(attached).env("CNI_NETNS", "").run().ok();
        let gone = self.node.unheard(conf, &Pod::new());
        self.node.del(&gone).ok();
        let directory = self.node.directory().to_owned();
        self.node.del(&self.first).ok();
        // What stays for all is there from the first use on; directories of ours are empty.
        for name in ["tuning", "state"] {
            if let Ok(mut entries) = std::fs::read_dir(directory.join(name)) {
                assert!(entries.next().is_none(), "{name} is not empty");
                let _ = std::fs::remove_dir(directory.join(name));
            }
        }
        self.ends("after the namespace went");
    }
}

/// GC with some, with none and without a list; it keeps to its network.
pub fn collects(plugin: Plugin) {
    let (ground, conf, _) = ready(plugin);
    let node = &ground.node;
    let kept = ground.attach(&conf);
    let (pod, first) = ground.another();
    let before = ground.outside();
    let conf_there = with(conf.clone(), json!({"prevResult": first.result}));
    let other = Attachment { conf: conf.clone(), ..node.attach(&conf_there, &pod) };
    let both = ground.outside();
    node.gc(&conf, &[&kept, &other]).ok();
    same("after a GC of nothing", &both, &ground.outside());
    node.call(conf["type"].as_str().expect("type")).verb("GC").conf(&conf).run().ok();
    same("after a GC without a list", &both, &ground.outside());
    for name in ["other", "net-2", "ne"] {
        node.gc(&with(conf.clone(), json!({"name": name})), &[]).ok();
    }
    same("after a GC of other networks", &both, &ground.outside());
    node.check(&kept).ok();
    node.check(&other).ok();
    node.gc(&conf, &[&kept]).ok();
    same("after a GC", &before, &ground.outside());
    node.check(&kept).ok();
    node.gc(&conf, &[]).ok();
    node.del(&other).ok();
    node.del(&kept).ok();
}

/// What must be refused: the change of the configuration, the code, and what is named.
pub type Case = (Value, u64, &'static [&'static str]);

/// An ADD of each case must fail as it says, and leave all as it was.
#[track_caller]
pub fn refused(plugin: Plugin, cases: &[Case]) {
    let (ground, conf, idle) = ready(plugin);
    for (change, code, words) in cases {
        let conf = with(ground.with_result(&conf), change.clone());
        let output = ground.node.add(&conf, &ground.pod, "eth0");
        output.fails().is(*code, words);
        same(&format!("{change} left"), &idle, &ground.state());
    }
    let unchained = ground.node.add(&conf, &ground.pod, "eth0");
    unchained.fails().is(7, &["prevResult"]);
}

/// The walks, as tests.
macro_rules! stands_faults {
    ($plugin:expr $(, $need:ident)*) => {
        #[test]
        fn add_at_every_point() {
            testkit::need!(Speed $(, $need)*);
            $crate::chained::adds($plugin);
        }

        #[test]
        fn del_at_every_point() {
            testkit::need!(Speed $(, $need)*);
            $crate::chained::dels($plugin);
        }

        #[test]
        fn check_at_every_point() {
            testkit::need!(Speed $(, $need)*);
            $crate::chained::checks($plugin);
        }

        #[test]
        fn gc_at_every_point() {
            testkit::need!(Speed $(, $need)*);
            $crate::chained::collections($plugin);
        }
    };
}

pub(crate) use stands_faults;
