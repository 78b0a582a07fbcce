//! What the nodes that are served hold already, so that nobody else can.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use kernel::MacAddr;

use super::Node;
use crate::facts::Families;

/// The names, networks and addresses of the nodes that are served. Their networks do not overlap,
/// so a look at the nearest one answers for all.
#[derive(Debug)]
pub struct Taken<'n> {
    local: &'n str,
    names: BTreeMap<&'n str, &'n Node>,
    /// By first address.
    nets: BTreeMap<IpAddr, (IpNetwork, &'n str)>,
    ips: BTreeMap<IpAddr, &'n str>,
    macs: Families<BTreeMap<MacAddr, &'n str>>,
}

/// Whose something is.
struct Owner<'n> {
    name: &'n str,
    local: bool,
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local { f.write_str("this node") } else { write!(f, "peer {}", self.name) }
    }
}

impl<'n> Taken<'n> {
    /// By the local node alone.
    pub fn by(local: &'n Node) -> Self {
        let mut taken = Self {
            local: &local.name,
            names: BTreeMap::new(),
            nets: BTreeMap::new(),
            ips: BTreeMap::new(),
            macs: Families::default(),
        };
        taken.add(local);
        taken
    }

    /// Whatever the node would share with those that are served: texts that begin with the key.
    pub fn conflicts(&self, node: &Node) -> Vec<String> {
        if let Some(other) = self.names.get(node.name.as_str()) {
            let nets: Vec<_> = other.pod_cidrs.iter().map(ToString::to_string).collect();
            let (name, nets) = (&node.name, nets.join(", "));
            return vec![format!(
                "name {name:?}: the peer of that name with podCIDRs {nets} is served; give each node a name of its own"
            )];
        }
        let mut found = Vec::new();
        for net in &node.pod_cidrs {
            self.net_conflict(*net, &mut found);
        }
        for ip in &node.node_ips {
            if let Some(name) = self.ips.get(ip) {
                found.push(format!("nodeIPs {ip}: {} has that address too", self.owner(name)));
            } else if let Some((net, name)) = self.net_before(*ip).filter(|(n, _)| n.contains(*ip))
            {
                let owner = self.owner(name);
                found.push(format!("nodeIPs {ip}: lies in podCIDRs {net} of {owner}"));
            }
        }
        for (ipv6, mac) in macs(node) {
            if let Some(name) = self.macs.get(ipv6).get(&mac) {
                let (key, owner) = (if ipv6 { "vtepMACv6" } else { "vtepMAC" }, self.owner(name));
                found.push(format!("{key} {mac}: {owner} has that address too"));
            }
        }
        found
    }

    fn net_conflict(&self, net: IpNetwork, found: &mut Vec<String>) {
        if let Some((other, name)) = self.net_before(net.broadcast())
            && other.broadcast() >= net.network()
        {
            found.push(format!("podCIDRs {net}: overlaps {other} of {}", self.owner(name)));
        }
        if let Some((ip, name)) = self.ips.range(net.network()..=net.broadcast()).next() {
            let owner = self.owner(name);
            found.push(format!("podCIDRs {net}: holds {ip}, the node address of {owner}"));
        }
    }

    /// The last network that begins at this address or before it. IPv4 comes before IPv6.
    fn net_before(&self, ip: IpAddr) -> Option<(IpNetwork, &'n str)> {
        self.nets.range(..=ip).next_back().map(|(_, found)| *found)
    }

    fn owner(&self, name: &'n str) -> Owner<'n> {
        Owner { name, local: name == self.local }
    }

    /// The node is served.
    pub fn add(&mut self, node: &'n Node) {
        let name = node.name.as_str();
        self.names.insert(name, node);
        self.nets.extend(node.pod_cidrs.iter().map(|net| (net.network(), (*net, name))));
        self.ips.extend(node.node_ips.iter().map(|ip| (*ip, name)));
        for (ipv6, mac) in macs(node) {
            self.macs.get_mut(ipv6).insert(mac, name);
        }
    }
}

/// The hardware addresses that are in use: those of families with pods. The two families have
/// devices of their own, so what is one's may be the other's too.
fn macs(node: &Node) -> impl Iterator<Item = (bool, MacAddr)> {
    [(false, node.vtep_mac), (true, node.vtep_mac_v6)]
        .into_iter()
        .filter(|(ipv6, _)| node.pods(*ipv6).next().is_some())
}
