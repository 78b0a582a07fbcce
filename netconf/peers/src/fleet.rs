//! Who the nodes are: the peer file's content, each peer checked for itself.

mod entry;
mod exact;
mod roster;
mod taken;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use cni::{Cidr, Code, Error, Json};
use ipnetwork::IpNetwork;
use kernel::MacAddr;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use entry::Entry;
use taken::Taken;

/// The version of the peer file that is read here.
const VERSION: u64 = 1;

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

    /// The gateway by which its pods are reached through a VXLAN device, which only the neighbour
    /// entry beside the route knows: the tunnel address, and for IPv6 the link-local one that follows
    /// from the hardware address. The kernel takes no other IPv6 gateway on a link that any
    /// route but the default one leads to by another link (net/ipv6/route.c,
    /// `ip6_route_check_nh_onlink`), as one to `fd00::/8` by a router would.
    pub fn vtep_gateway(&self, ipv6: bool) -> Option<IpAddr> {
        let tunnel_ip = self.tunnel_ip(ipv6)?;
        Some(if ipv6 { crate::mac::link_local(self.vtep_mac_v6).into() } else { tunnel_ip })
    }
}

/// Something wrong with one peer; the others are served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What stands beside the nodes.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    version: Option<u64>,
}

/// The rest. Of the peers only that they are a list: each is read for itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "clusterCIDRs")]
    cluster: Vec<Cidr>,
    local: Option<Entry>,
    peers: Vec<IgnoredAny>,
}

/// A description as it is written; the values need not make sense yet.
struct Described<'j> {
    version: Option<u64>,
    cluster: Vec<Cidr>,
    local: Option<Entry>,
    peers: Vec<Item<'j>>,
}

/// A peer as it is written.
enum Item<'j> {
    Read(Entry),
    Tree(Cow<'j, Json>),
}

impl Item<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Read(entry) => &entry.name,
            Self::Tree(tree) => tree.get("name").and_then(Json::as_str).unwrap_or_default(),
        }
    }

    fn entry(self) -> Result<Entry, Error> {
        match self {
            Self::Read(entry) => Ok(entry),
            Self::Tree(tree) => tree.decode(),
        }
    }
}

impl Fleet {
    /// Reads what a peer file holds; `what` names it in errors ("peersFile /run/..."). Code 6 or
    /// 7 for what makes the whole of it useless: no JSON object, another version, no local entry,
    /// no cluster CIDR, a local entry that is wrong in itself.
    pub fn parse(text: &[u8], what: &str) -> Result<Self, Error> {
        if let Some(exact) = exact::read(&String::from_utf8_lossy(text)) {
            return Self::checked(exact.described, what);
        }
        Self::read(&Json::parse(text, what)?, what)
    }

    /// The same of what such a file holds.
    pub fn read(tree: &Json, what: &str) -> Result<Self, Error> {
        let head: Head = tree.decode().map_err(|e| e.while_(what))?;
        check_version(head.version, what)?;
        Self::of(tree, what)
    }

    /// The same of a tree: `local`, `peers` and `clusterCIDRs` given in the plugin's configuration,
    /// which needs no `version` for them.
    pub fn of(tree: &Json, what: &str) -> Result<Self, Error> {
        let Body { cluster, local, peers: _ } = tree.decode().map_err(|e| e.while_(what))?;
        let peers = match tree.get("peers") {
            Some(Json::Array(items)) => {
                items.iter().map(|i| Item::Tree(Cow::Borrowed(i))).collect()
            }
            _ => Vec::new(),
        };
        Self::checked(Described { version: Some(VERSION), cluster, local, peers }, what)
    }

    fn checked(described: Described<'_>, what: &str) -> Result<Self, Error> {
        let Described { version, cluster, local, peers } = described;
        check_version(version, what)?;
        let bad = |msg: String| Error::new(Code::CONFIG, format!("{what}: {msg}"));
        let cluster: Vec<_> = cluster.into_iter().map(|cidr| cidr.0).collect();
        if cluster.is_empty() {
            return Err(bad(
                "clusterCIDRs is missing: give at least one, as in 10.244.0.0/16".into()
            ));
        }
        if let Some(fault) = cluster.iter().find_map(|c| entry::cidr_fault("clusterCIDRs", *c)) {
            return Err(bad(fault));
        }
        let Some(local) = local else {
            return Err(bad("local is missing: it tells which of the nodes this one is".into()));
        };
        let local = local
            .check(&cluster)
            .map_err(|faults| bad(format!("local.{}", faults.join("; local."))))?;
        let (candidates, mut faults) = read(peers, &cluster, &local);
        let peers = serve(candidates, &local, &mut faults);
        faults.sort();
        Ok(Self { cluster, local, peers, faults })
    }
}

fn check_version(version: Option<u64>, what: &str) -> Result<(), Error> {
    let bad = |msg: String| Err(Error::new(Code::CONFIG, format!("{what}: {msg}")));
    match version {
        Some(VERSION) => Ok(()),
        Some(other) => bad(format!("version {other}: only version {VERSION} is known")),
        None => bad(format!("version is missing: it must be {VERSION}")),
    }
}

/// The peers that are right in themselves, and what is wrong with the others. The local node among
/// them is passed over: all nodes may share one list.
fn read(peers: Vec<Item<'_>>, cluster: &[IpNetwork], local: &Node) -> (Vec<Node>, Vec<Fault>) {
    let mut nodes = Vec::with_capacity(peers.len());
    let mut faults = Vec::new();
    for (index, item) in peers.into_iter().enumerate() {
        let name = item.name();
        if name == local.name {
            continue;
        }
        let peer = match entry::name_fault(name) {
            None => name.to_owned(),
            Some(_) => format!("peers[{index}]"),
        };
        let mut fault = |reason| faults.push(Fault { peer: peer.clone(), reason });
        let mut entry: Entry = match item.entry() {
            Ok(entry) => entry,
            Err(e) => {
                fault(e.msg);
                continue;
            }
        };
        let mut lost = false;
        for ipv6 in [false, true] {
            if local.pods(ipv6).next().is_some() {
                continue;
            }
            for Cidr(net) in entry.without_pods(ipv6) {
                let family = family(ipv6);
                fault(format!(
                    "podCIDRs {net}: this node has no {family} pods; add an {family} network to local.podCIDRs"
                ));
                lost = true;
            }
        }
        if lost && !entry.has_pods() {
            continue;
        }
        match entry.check(cluster) {
            Ok(node) => nodes.push(node),
            Err(reasons) => reasons.into_iter().for_each(&mut fault),
        }
    }
    (nodes, faults)
}

/// Those that share nothing with this node or with one that is served before them, by name. Who comes first
/// is told by the order in the list: a name is anybody's choice, and who comes last and claims what another
/// has pushes nobody out. Who is not served takes nothing from anybody.
fn serve(candidates: Vec<Node>, local: &Node, faults: &mut Vec<Fault>) -> Vec<Node> {
    let mut taken = Taken::by(local);
    let mut is_served = Vec::with_capacity(candidates.len());
    for node in &candidates {
        let conflicts = taken.conflicts(node);
        is_served.push(conflicts.is_empty());
        if conflicts.is_empty() {
            taken.add(node);
        }
        let peer = || node.name.clone();
        faults.extend(conflicts.into_iter().map(|reason| Fault { peer: peer(), reason }));
    }
    let each = std::iter::zip(candidates, is_served);
    let mut served: Vec<Node> = each.filter_map(|(node, is)| is.then_some(node)).collect();
    served.sort();
    served
}

/// True when all of `net` lies in `all`.
pub fn within(net: IpNetwork, all: IpNetwork) -> bool {
    all.prefix() <= net.prefix() && all.contains(net.network())
}

/// The family's name.
pub fn family(ipv6: bool) -> &'static str {
    if ipv6 { "IPv6" } else { "IPv4" }
}
