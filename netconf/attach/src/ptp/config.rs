//! The options of a routed veth.

use cni::{Cidr, Error, NetConf};
use serde::Deserialize;

use crate::config::{self, Masquerade, RawDns, RawMasquerade};

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    ip_masq: bool,
    ip_masq_backend: Option<String>,
    #[serde(rename = "nonMasqueradeCIDRs")]
    non_masquerade_cidrs: Vec<Cidr>,
    exempt_network_nodes: bool,
    mtu: i64,
    dns: RawDns,
}

/// The options, checked. README.md of the plugin describes each.
#[derive(Debug)]
pub struct Config {
    /// What leaves the node for elsewhere bears the node's address.
    pub masquerade: Option<Masquerade>,
    /// The MTU of both ends.
    pub mtu: Option<u32>,
    /// Replaces the resolver that IPAM gave.
    pub dns: RawDns,
}

impl Config {
    /// Reads and checks the options.
    pub fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let masquerade = RawMasquerade {
            wanted: raw.ip_masq,
            backend: raw.ip_masq_backend.as_deref(),
            exempt: &raw.non_masquerade_cidrs,
            network_exempt: raw.exempt_network_nodes,
        };
        Ok(Self { masquerade: masquerade.parse()?, mtu: config::mtu(raw.mtu)?, dns: raw.dns })
    }
}
