//! A description whose keys are written as they are documented: read at once, without the tree that Go's
//! rules take. Thousands of peers are read again at each change of one.
//!
//! Whatever is out of the ordinary (another letter case, an unknown key, one that comes twice, `null`, a
//! value of another type) is not read here at all, so that there is one set of rules.

use std::borrow::Cow;

use cni::{Cidr, Json};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::entry::{Address, Entry, Mac};
use super::{Described, Item};

/// A whole description.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole<'t> {
    version: u64,
    #[serde(rename = "clusterCIDRs")]
    cluster: Vec<Cidr>,
    #[serde(borrow)]
    local: Option<&'t RawValue>,
    #[serde(borrow, default)]
    peers: Vec<&'t RawValue>,
}

/// A node's entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    name: String,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<Cidr>,
    #[serde(rename = "nodeIPs")]
    node_ips: Vec<Address>,
    #[serde(rename = "vtepMAC", default)]
    vtep_mac: Mac,
    #[serde(rename = "vtepMACv6", default)]
    vtep_mac_v6: Mac,
}

/// A description as it was read, and the texts of its peers.
pub struct Exact<'t> {
    pub described: Described<'static>,
    pub texts: Vec<&'t str>,
}

/// Reads it, if it is such a one. A peer that is not is read by Go's rules, for itself.
pub fn read<'t>(text: &'t str) -> Option<Exact<'t>> {
    let whole: Whole<'t> = serde_json::from_str(text).ok()?;
    let local = match whole.local {
        None => None,
        Some(local) => Some(node(local)?),
    };
    let item = |peer: &&RawValue| match node(peer) {
        Some(entry) => Some(Item::Read(entry)),
        // What is no JSON to one of the parsers makes all of it none.
        None => {
            Json::parse(peer.get().as_bytes(), "").ok().map(|tree| Item::Tree(Cow::Owned(tree)))
        }
    };
    let peers = whole.peers.iter().map(item).collect::<Option<_>>()?;
    Some(Exact {
        described: Described { version: Some(whole.version), cluster: whole.cluster, local, peers },
        texts: whole.peers.into_iter().map(RawValue::get).collect(),
    })
}

fn node(text: &RawValue) -> Option<Entry> {
    let node: Plain = serde_json::from_str(text.get()).ok()?;
    Some(Entry {
        name: node.name,
        pod_cidrs: node.pod_cidrs,
        node_ips: node.node_ips,
        vtep_mac: node.vtep_mac,
        vtep_mac_v6: node.vtep_mac_v6,
    })
}
