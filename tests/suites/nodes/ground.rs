//! What the tests stand on: a fleet with a pod on each node.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};
use testkit::{Attachment, Fleet, Node, Output, Pod, Pods, Underlay, ping, tcp, udp};

use crate::conf::with;

/// A way to other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    HostGw,
    Vxlan,
    Ipip,
}

impl Mode {
    pub fn plugin(self) -> &'static str {
        match self {
            Self::HostGw => "host-gw",
            Self::Vxlan => "vxlan",
            Self::Ipip => "ipip",
        }
    }

    /// The families that it carries, one by one and together.
    pub fn all_pods(self) -> &'static [Pods] {
        if self == Self::Ipip { &[Pods::V4] } else { &[Pods::V4, Pods::V6, Pods::Dual] }
    }

    /// All families that it carries.
    pub fn pods(self) -> Pods {
        if self == Self::Ipip { Pods::V4 } else { Pods::Dual }
    }

    /// Bytes that it puts around a packet of one of these families, the larger number of two.
    pub fn overhead(self, pods: Pods) -> u32 {
        match (self, pods) {
            (Self::HostGw, _) => 0,
            (Self::Ipip, _) => 20,
            (Self::Vxlan, Pods::V4) => 50,
            (Self::Vxlan, _) => 70,
        }
    }

    /// The tunnel device of a family.
    pub fn device(self, ipv6: bool) -> Option<&'static str> {
        match (self, ipv6) {
            (Self::HostGw, _) | (Self::Ipip, true) => None,
            (Self::Ipip, false) => Some("tunl0"),
            (Self::Vxlan, false) => Some("vxlan.1"),
            (Self::Vxlan, true) => Some("vxlan-v6.1"),
        }
    }
}

/// A fleet in one of the modes.
pub struct Cluster {
    pub fleet: Fleet,
    pub mode: Mode,
    /// Keys that each node's configuration has besides.
    pub more: Value,
    /// A pod on each node, the first node's first.
    pub pods: Vec<(Pod, Attachment)>,
}

impl Cluster {
    /// Three nodes on one segment, each with a pod of every family that the mode carries.
    pub fn new(mode: Mode) -> Self {
        Self::of(mode, Underlay::Segment, mode.pods(), json!({}))
    }

    /// As [`Cluster::new`], with all choices.
    pub fn of(mode: Mode, underlay: Underlay, pods: Pods, more: Value) -> Self {
        let mut cluster = Self::empty(mode, underlay, pods, more);
        let numbers = cluster.fleet.numbers();
        cluster.pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
        cluster
    }

    /// As [`Cluster::new`], and an ADD on node 1 goes the short way.
    pub fn rested(mode: Mode) -> Self {
        let cluster = Self::new(mode);
        cluster.rest(1);
        cluster
    }

    /// ADDs on node `n` until one goes the short way: it finds all as the record says, looks no
    /// further and leaves the record as it is. There is no record while the peer file is so young
    /// that it might be written again at the same time by the kernel's clock.
    #[track_caller]
    pub fn rest(&self, n: usize) {
        let state = self.conf(n)["stateDir"].as_str().expect("a path").to_owned();
        let record = || -> Vec<(u64, i64)> {
            let entries = std::fs::read_dir(&state).expect("the record's directory");
            let about = |entry: std::fs::DirEntry| entry.metadata().expect("an entry");
            entries
                .map(|e| about(e.expect("an entry")))
                .map(|m| (m.ino(), m.mtime_nsec()))
                .collect()
        };
        for _ in 0..100 {
            let before = record();
            self.next_add(n);
            if record() == before {
                return;
            }
        }
        panic!("no ADD of {} on node {n} goes the short way", self.mode.plugin());
    }

    /// Nodes that know of each other and have no pods yet.
    pub fn empty(mode: Mode, underlay: Underlay, pods: Pods, more: Value) -> Self {
        let fleet = Fleet::new(underlay, pods);
        fleet.write_all();
        Self { fleet, mode, more, pods: Vec::new() }
    }

    pub fn node(&self, n: usize) -> &Node {
        self.fleet.node(n)
    }

    pub fn conf(&self, n: usize) -> Value {
        with(self.fleet.conf(self.mode.plugin(), n), self.more.clone())
    }

    pub fn pod(&self, n: usize) -> &Pod {
        &self.pods[n - 1].0
    }

    pub fn attachment(&self, n: usize) -> &Attachment {
        &self.pods[n - 1].1
    }

    /// CHECK of node `n`'s pod.
    pub fn check(&self, n: usize) -> Output {
        self.node(n).check(self.attachment(n))
    }

    /// CHECK of node `n`'s pod must name each of `words`.
    #[track_caller]
    pub fn check_names(&self, n: usize, words: &[&str]) {
        self.check(n).fails().is(103, words);
    }

    /// The next ADD on node `n`, and the pod goes again.
    #[track_caller]
    pub fn next_add(&self, n: usize) -> Output {
        let (node, conf) = (self.node(n), self.conf(n));
        let pod = node.pod();
        let output = node.add(&conf, &pod, "eth0");
        let attached = node.attached(&conf, &pod, "eth0", &output);
        node.check(&attached).ok();
        node.del(&attached).ok();
        output
    }

    /// The pods of two nodes reach each other in every family, and each sees the other's own address.
    #[track_caller]
    pub fn talk(&self, a: usize, b: usize) {
        let ((from, mine), (to, theirs)) = (&self.pods[a - 1], &self.pods[b - 1]);
        talk(
            &format!("{} of node {a} to node {b}", self.mode.plugin()),
            (from, mine),
            (to, theirs),
        );
    }

    /// So do those of all nodes.
    #[track_caller]
    pub fn all_talk(&self) {
        for a in self.fleet.numbers() {
            for b in self.fleet.numbers().filter(|b| *b != a) {
                self.talk(a, b);
            }
        }
    }
}

/// A pod reaches another in every family, which sees its own address.
#[track_caller]
pub fn talk(what: &str, from: (&Pod, &Attachment), to: (&Pod, &Attachment)) {
    for (mine, theirs) in from.1.ips().iter().zip(&to.1.ips()) {
        assert!(ping(from.0, theirs), "{what}: {mine} does not reach {theirs}");
        let own: IpAddr = mine.parse().expect("an address");
        assert_eq!(tcp(from.0, to.0, theirs).expect(theirs), own, "{what}: TCP");
        assert_eq!(udp(from.0, to.0, theirs).expect(theirs), own, "{what}: UDP");
    }
}

/// The addresses of a list in a roster's entry.
pub fn listed(entry: &Value, key: &str) -> Vec<String> {
    let list = entry[key].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|value| value.as_str().expect("text").to_owned()).collect()
}

/// The node's address of a family.
pub fn node_ip(entry: &Value, ipv6: bool) -> String {
    let ips = listed(entry, "nodeIPs");
    ips.into_iter().find(|ip| ip.contains(':') == ipv6).expect("a node address of the family")
}
