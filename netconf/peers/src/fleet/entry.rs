//! One node as it is written, and what is wrong with it in itself.

use std::net::IpAddr;

use cni::Cidr;
use ipnetwork::IpNetwork;
use kernel::MacAddr;
use serde::de::{Deserialize, Deserializer, Error as _};

use super::Node;
use crate::mac;

/// The longest name: what a DNS name, and with it a Kubernetes node's, may have.
const LONGEST_NAME: usize = 253;

/// An entry whose values can be read; they need not make sense yet.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Entry {
    pub name: String,
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Vec<Cidr>,
    #[serde(rename = "nodeIPs")]
    pub node_ips: Vec<Address>,
    #[serde(rename = "vtepMAC")]
    pub vtep_mac: Mac,
    #[serde(rename = "vtepMACv6")]
    pub vtep_mac_v6: Mac,
}

/// An address without a prefix length.
#[derive(Clone, Copy, Debug)]
pub struct Address(IpAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            D::Error::custom("must be an address without a prefix length, as in 192.168.2.1")
        })
    }
}

/// A hardware address; empty where it is to be derived.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mac(Option<MacAddr>);

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|mac| Self(Some(mac))).map_err(|e: cni::Error| {
            // The key and the value stand in front already.
            D::Error::custom(e.msg.rsplit(": ").next().unwrap_or_default())
        })
    }
}

/// What is wrong with a name, if anything.
pub fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("name is missing: give each node one".to_owned());
    }
    if name.len() > LONGEST_NAME {
        let length = name.len();
        return Some(format!("name of {length} bytes: at most {LONGEST_NAME} are allowed"));
    }
    name.chars()
        .any(char::is_control)
        .then(|| format!("name {name:?}: control characters are not allowed"))
}

impl Entry {
    /// Takes away the pod networks of a family and gives them back.
    pub fn without_pods(&mut self, ipv6: bool) -> Vec<Cidr> {
        self.pod_cidrs.extract_if(.., |cidr| cidr.0.is_ipv6() == ipv6).collect()
    }

    /// True while there are pods to be reached.
    pub fn has_pods(&self) -> bool {
        !self.pod_cidrs.is_empty()
    }

    /// The node, or all that is wrong: texts that begin with the key.
    pub fn check(self, cluster: &[IpNetwork]) -> Result<Node, Vec<String>> {
        let mut faults: Vec<String> = name_fault(&self.name).into_iter().collect();
        if self.pod_cidrs.is_empty() {
            faults.push("podCIDRs is missing: give at least one, as in 10.244.2.0/24".to_owned());
        }
        for Cidr(net) in &self.pod_cidrs {
            faults.extend(cidr_fault("podCIDRs", *net).or_else(|| outside(*net, cluster)));
        }
        let node = Node {
            vtep_mac: self.vtep_mac.0.unwrap_or_else(|| mac::of(&self.name, false)),
            vtep_mac_v6: self.vtep_mac_v6.0.unwrap_or_else(|| mac::of(&self.name, true)),
            name: self.name,
            pod_cidrs: self.pod_cidrs.into_iter().map(|cidr| cidr.0).collect(),
            node_ips: self.node_ips.into_iter().map(|ip| ip.0).collect(),
        };
        faults.extend(overlap(&node));
        faults.extend(node.node_ips.iter().filter_map(|ip| address_fault(*ip)));
        for ipv6 in [false, true] {
            faults.extend(family_fault(&node, ipv6));
        }
        for ip in &node.node_ips {
            let around = node.pod_cidrs.iter().find(|net| net.contains(*ip));
            faults.extend(around.map(|net| {
                format!("nodeIPs {ip} lies in podCIDRs {net}: a node's own address must not")
            }));
        }
        if faults.is_empty() { Ok(node) } else { Err(faults) }
    }
}

/// What is wrong with a network under `key`, if anything.
pub fn cidr_fault(key: &str, net: IpNetwork) -> Option<String> {
    if net.ip() != net.network() {
        let (network, length) = (net.network(), net.prefix());
        return Some(format!("{key} {net}: host bits are set; write {network}/{length}"));
    }
    let ip = net.network();
    (ip.is_loopback() || ip.is_multicast())
        .then(|| format!("{key} {net}: pods cannot have loopback or multicast addresses"))
}

fn outside(net: IpNetwork, cluster: &[IpNetwork]) -> Option<String> {
    if cluster.iter().any(|all| super::within(net, *all)) {
        return None;
    }
    let all: Vec<_> = cluster.iter().map(ToString::to_string).collect();
    Some(format!("podCIDRs {net}: outside clusterCIDRs {}", all.join(", ")))
}

/// Two of the node's own pod networks that overlap.
fn overlap(node: &Node) -> Option<String> {
    let mut nets = node.pod_cidrs.clone();
    nets.sort_unstable();
    // Sorted by first address, then by length: what overlaps stands in a row.
    let pair = nets.iter().zip(nets.iter().skip(1)).find(|(a, b)| a.contains(b.network()));
    pair.map(|(a, b)| format!("podCIDRs {a} and {b} overlap"))
}

fn address_fault(ip: IpAddr) -> Option<String> {
    let why = match ip {
        _ if ip.is_unspecified() => "the unspecified address",
        _ if ip.is_loopback() => "a loopback address",
        _ if ip.is_multicast() => "a multicast address",
        IpAddr::V4(ip) if ip.is_broadcast() => "the broadcast address",
        IpAddr::V6(ip) if ip.is_unicast_link_local() => "a link-local address",
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => "an IPv4 address in IPv6 form",
        _ => return None,
    };
    Some(format!("nodeIPs {ip}: {why} cannot be reached from other nodes"))
}

fn family_fault(node: &Node, ipv6: bool) -> Option<String> {
    let mut ips = node.node_ips.iter().filter(|ip| ip.is_ipv6() == ipv6);
    match (ips.next(), ips.next(), node.tunnel_ip(ipv6).zip(node.pods(ipv6).next())) {
        (Some(a), Some(b), _) => {
            Some(format!("nodeIPs {a} and {b}: give at most one address of each family"))
        }
        (None, _, Some((_, net))) => {
            let family = super::family(ipv6);
            Some(format!("podCIDRs {net}: there is no {family} address in nodeIPs to reach it by"))
        }
        _ => None,
    }
}
