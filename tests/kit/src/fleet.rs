//! Nodes that reach each other over an underlay, and what each is told of the others.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{Attachment, Netns, Node, Pod};

/// The interface of each node on the underlay.
pub const UNDERLAY: &str = "eth0";
/// The router's addresses on the segment of nodes 1 and 2.
pub const ROUTER_V4: &str = "192.168.2.254";
/// See [`ROUTER_V4`].
pub const ROUTER_V6: &str = "fd00:192:168:2::fe";

/// How the nodes are wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underlay {
    /// All on one segment: 192.168.2.0/24 and fd00:192:168:2::/64.
    Segment,
    /// The third and later ones on another, 192.168.3.0/24 and fd00:192:168:3::/64, behind a router
    /// that knows nothing of pods.
    Routed,
}

/// The families that pods have addresses of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// Both.
    Dual,
}

impl Pods {
    fn of(self, v4: String, v6: String) -> Vec<String> {
        match self {
            Self::V4 => vec![v4],
            Self::V6 => vec![v6],
            Self::Dual => vec![v4, v6],
        }
    }
}

/// Nodes on an underlay, numbered from 1. Node N is `nN`, has the addresses that end in N on `eth0`, and
/// its pods those of 10.244.N.0/24 and fd00:244:N::/64.
#[derive(Debug)]
pub struct Fleet {
    nodes: Vec<Node>,
    underlay: Underlay,
    _ground: Vec<Netns>,
    /// What the nodes' peer files say.
    pub roster: Roster,
}

impl Fleet {
    /// Three nodes, nothing written yet.
    pub fn new(underlay: Underlay, pods: Pods) -> Self {
        Self::of(3, underlay, pods)
    }

    /// So many nodes, at most nine.
    pub fn of(count: usize, underlay: Underlay, pods: Pods) -> Self {
        let nodes: Vec<Node> = (0..count).map(|_| Node::new()).collect();
        let mut near = Segment::new();
        let mut ground = Vec::new();
        if underlay == Underlay::Segment {
            (1..).zip(&nodes).for_each(|(n, node)| near.join(node, n, 2));
        } else {
            let mut far = Segment::new();
            for (n, node) in (1..).zip(&nodes) {
                let (segment, at, beyond) =
                    if n < 3 { (&mut near, 2, 3) } else { (&mut far, 3, 2) };
                segment.join(node, n, at);
                node.batch(&format!(
                    "route add 192.168.{beyond}.0/24 via 192.168.{at}.254\n\
                     route add fd00:192:168:{beyond}::/64 via fd00:192:168:{at}::fe\n"
                ));
            }
            let router = Netns::new();
            near.plug(&router, "near", 0xfe, 2);
            far.plug(&router, "far", 0xfe, 3);
            router.await_ipv6("near");
            router.await_ipv6("far");
            router.set_sysctl("net/ipv4/ip_forward", "1");
            router.set_sysctl("net/ipv6/conf/all/forwarding", "1");
            ground.extend([router, far.switch]);
        }
        ground.push(near.switch);
        for node in &nodes {
            node.await_ipv6(UNDERLAY);
        }
        let roster = Roster::new("pods", "10.244", "fd00:244", count, underlay, pods);
        Self { nodes, underlay, _ground: ground, roster }
    }

    /// Node `n`.
    pub fn node(&self, n: usize) -> &Node {
        &self.nodes[n - 1]
    }

    /// The nodes' numbers.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        1..=self.nodes.len()
    }

    /// Whether two nodes are on one segment.
    pub fn adjacent(&self, a: usize, b: usize) -> bool {
        self.underlay == Underlay::Segment || (a < 3) == (b < 3)
    }

    /// Another network on the same nodes: pods in `v4`.N.0/24 and `v6`:N::/64.
    pub fn another(&self, network: &str, v4: &str, v6: &str, pods: Pods) -> Roster {
        Roster::new(network, v4, v6, self.nodes.len(), self.underlay, pods)
    }

    /// Writes the peer file of node `n`.
    pub fn write(&self, n: usize) {
        self.roster.write(self.node(n), n);
    }

    /// Writes those of all nodes that are in the roster.
    pub fn write_all(&self) {
        for n in self.numbers().filter(|n| !self.roster.entries[n - 1].is_null()) {
            self.write(n);
        }
    }

    /// The configuration of a plugin on node `n`, whose files are the node's own.
    pub fn conf(&self, plugin: &str, n: usize) -> Value {
        self.roster.conf(plugin, self.node(n))
    }

    /// A pod on node `n`, attached.
    #[track_caller]
    pub fn attach(&self, conf: &Value, n: usize) -> (Pod, Attachment) {
        let pod = self.node(n).pod();
        let attachment = self.node(n).attach(conf, &pod);
        (pod, attachment)
    }

    /// Sets the MTU of node `n`'s interface on the underlay. The wire takes up to 9000 bytes.
    pub fn set_mtu(&self, n: usize, mtu: u32) {
        self.node(n).run(&["ip", "link", "set", UNDERLAY, "mtu", &mtu.to_string()]);
    }
}

/// What peer files say: all nodes of a network, for a test to change.
#[derive(Clone, Debug)]
pub struct Roster {
    /// The network's name.
    pub network: String,
    /// `clusterCIDRs`
    pub cluster: Vec<String>,
    /// The nodes' entries, the first node's first. One that is `null` is not listed.
    pub entries: Vec<Value>,
}

impl Roster {
    fn new(network: &str, v4: &str, v6: &str, count: usize, at: Underlay, pods: Pods) -> Self {
        let entry = |n: usize| {
            let segment = if at == Underlay::Routed && n > 2 { 3 } else { 2 };
            json!({
                "name": format!("n{n}"),
                "podCIDRs": pods.of(format!("{v4}.{n}.0/24"), format!("{v6}:{n}::/64")),
                "nodeIPs": pods.of(
                    format!("192.168.{segment}.{n}"),
                    format!("fd00:192:168:{segment}::{n}"),
                ),
            })
        };
        Self {
            network: network.to_owned(),
            cluster: pods.of(format!("{v4}.0.0/16"), format!("{v6}::/32")),
            entries: (1..=count).map(entry).collect(),
        }
    }

    /// The peer file of node `n`: its own entry, and all others that are listed.
    pub fn file(&self, n: usize) -> Value {
        let others = (1..).zip(&self.entries).filter(|(m, entry)| *m != n && !entry.is_null());
        let peers: Vec<&Value> = others.map(|(_, entry)| entry).collect();
        json!({
            "version": 1, "clusterCIDRs": self.cluster, "local": self.entries[n - 1], "peers": peers,
        })
    }

    /// Where a node's peer file is.
    pub fn path(&self, node: &Node) -> PathBuf {
        node.directory().join(&self.network).join("peers.json")
    }

    /// Puts the file of node `n` in place of the last one, never half of it.
    pub fn write(&self, node: &Node, n: usize) {
        self.write_text(node, &self.file(n).to_string());
    }

    /// Puts any text in the file's place.
    pub fn write_text(&self, node: &Node, text: &str) {
        let path = self.path(node);
        let new = path.with_extension("new");
        fs::create_dir_all(path.parent().expect("a directory")).expect("the network's directory");
        fs::write(&new, text).expect("a new peer file");
        fs::rename(&new, &path).expect("the peer file");
    }

    /// The configuration of a plugin on a node.
    pub fn conf(&self, plugin: &str, node: &Node) -> Value {
        let state = node.directory().join(&self.network).join("state");
        json!({
            "cniVersion": "1.1.0", "name": self.network, "type": plugin,
            "peersFile": self.path(node), "stateDir": state,
            "ipam": {"type": "host-local", "dataDir": node.leases()},
        })
    }
}

/// A switch.
struct Segment {
    switch: Netns,
    ports: usize,
}

impl Segment {
    fn new() -> Self {
        let switch = Netns::new();
        // Without snooping nothing multicast waits for a querier.
        switch.batch(
            "link add wire mtu 9000 type bridge mcast_snooping 0\n\
             link set wire addrgenmode none up\n",
        );
        Self { switch, ports: 0 }
    }

    fn join(&mut self, node: &Node, n: usize, segment: usize) {
        self.plug(node, UNDERLAY, n, segment);
    }

    /// A wire from the switch to `link` of a namespace, with the addresses that end in `host`.
    fn plug(&mut self, netns: &Netns, link: &str, host: usize, segment: usize) {
        self.ports += 1;
        let port = format!("port{}", self.ports);
        self.switch.batch(&format!(
            "link add {port} mtu 9000 type veth peer name {link}\n\
             link set {link} netns {path}\n\
             link set {port} master wire addrgenmode none up\n",
            path = netns.path()
        ));
        // Link-local addresses without a probe; of the others `nodad` says so.
        netns.set_sysctl(&format!("net/ipv6/conf/{link}/accept_dad"), "0");
        let mut lines = String::new();
        let _ = writeln!(lines, "addr add 192.168.{segment}.{host}/24 dev {link}");
        let _ = writeln!(lines, "addr add fd00:192:168:{segment}::{host:x}/64 dev {link} nodad");
        let _ = writeln!(lines, "link set {link} up");
        netns.batch(&lines);
    }
}
