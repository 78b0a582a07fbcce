//! The options of a routed veth.

use cni::{Error, NetConf};
use serde::Deserialize;

use crate::config::{self, RawDns};

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    ip_masq: bool,
    ip_masq_backend: Option<String>,
    mtu: i64,
    dns: RawDns,
}

/// The options, checked. README.md of the plugin describes each.
#[derive(Debug)]
pub struct Config {
    /// What leaves the node for elsewhere bears the node's address.
    pub masquerade: bool,
    /// The MTU of both ends.
    pub mtu: Option<u32>,
    /// Replaces the resolver that IPAM gave.
    pub dns: RawDns,
}

impl Config {
    /// Reads and checks the options.
    pub fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        config::masquerade_backend(raw.ip_masq_backend.as_deref())?;
        Ok(Self { masquerade: raw.ip_masq, mtu: config::mtu(raw.mtu)?, dns: raw.dns })
    }
}
