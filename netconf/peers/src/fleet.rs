//! Who the nodes are: the peer file's content, each peer checked for itself.

use std::fmt;
use std::net::IpAddr;

use cni::{Error, Json};
use ipnetwork::IpNetwork;
use kernel::MacAddr;

/// All nodes, those peers left out that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// What all pods' addresses are in.
    pub cluster: Vec<IpNetwork>,
    /// This node.
    pub local: Node,
    /// The others, by name.
    pub peers: Vec<Node>,
    /// What is wrong with those that are left out, by name.
    pub faults: Vec<Fault>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its pods' networks, host bits zero, in the order given.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Its own addresses on the underlay, one of each family at most.
    pub node_ips: Vec<IpAddr>,
    /// The hardware address of its VXLAN device for IPv4.
    pub vtep_mac: MacAddr,
    /// The hardware address of its VXLAN device for IPv6.
    pub vtep_mac_v6: MacAddr,
}

impl Node {
    /// Its address of a family.
    pub fn ip(&self, ipv6: bool) -> Option<IpAddr> {
        self.node_ips.iter().copied().find(|ip| ip.is_ipv6() == ipv6)
    }

    /// Its pods' networks of a family.
    pub fn pods(&self, ipv6: bool) -> impl Iterator<Item = IpNetwork> {
        self.pod_cidrs.iter().copied().filter(move |net| net.is_ipv6() == ipv6)
    }

    /// The address of its tunnel device of a family: the first of its first pod network.
    pub fn tunnel_ip(&self, ipv6: bool) -> Option<IpAddr> {
        self.pods(ipv6).next().map(|net| net.network())
    }
}

/// Something wrong with one peer; the others are served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The peer's name, or its place in the list (`peers[3]`) where it has none.
    pub peer: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}: {}", self.peer, self.reason)
    }
}

impl Fleet {
    /// Reads what a peer file holds; `what` names it in errors ("peersFile /run/..."). Code 6 or
    /// 7 for what makes the whole of it useless: no JSON object, another version, no local entry,
    /// no cluster CIDR, a local entry that is wrong in itself.
    pub fn parse(text: &[u8], what: &str) -> Result<Self, Error> {
        Self::of(&Json::parse(text, what)?, what)
    }

    /// The same of a tree: `local`, `peers` and `clusterCIDRs` given in the plugin's configuration.
    pub fn of(tree: &Json, what: &str) -> Result<Self, Error> {
        todo!()
    }
}
