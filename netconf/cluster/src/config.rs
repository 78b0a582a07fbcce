//! What such a plugin is configured with beside the options of its two parts.

use cni::{AddResult, Call, Error, IfName, NetConf, StatusCall};
use peers::Way;
use serde::Deserialize;

use crate::derive;

/// The bridge that containers are joined to when none is named.
const BRIDGE: &str = "cni0";

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    attach: String,
    bridge: String,
    is_default_gateway: Option<bool>,
    ip_masq: bool,
    mtu: i64,
}

/// How a container is joined to its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// To this bridge.
    Bridge(IfName),
    /// By a routed veth.
    Ptp,
}

impl Join {
    pub fn add(&self, call: &Call) -> Result<AddResult, Error> {
        match self {
            Self::Bridge(_) => attach::bridge::add(call),
            Self::Ptp => attach::ptp::add(call),
        }
    }

    pub fn check(&self, call: &Call) -> Result<(), Error> {
        match self {
            Self::Bridge(_) => attach::bridge::check(call),
            Self::Ptp => attach::ptp::check(call),
        }
    }

    pub fn status(&self, call: &StatusCall) -> Result<(), Error> {
        match self {
            Self::Bridge(_) => attach::bridge::status(call),
            Self::Ptp => attach::ptp::status(call),
        }
    }
}

/// The configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The node's part.
    pub node: peers::Config,
    /// How a container is joined.
    pub join: Join,
    /// Containers get a default route.
    pub default_route: bool,
    /// What leaves the cluster bears the node's address.
    pub masquerade: bool,
    /// `mtu` was given.
    pub fixed_mtu: bool,
}

impl Config {
    /// Reads and checks. Code 6 or 7.
    pub fn parse(way: Way, conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        // Before anything is made on the node.
        derive::readable(conf)?;
        let join = match raw.attach.as_str() {
            "" | "bridge" => {
                let name = if raw.bridge.is_empty() { BRIDGE } else { &raw.bridge };
                let named: Result<IfName, Error> = name.parse();
                Join::Bridge(named.map_err(|e| {
                    Error::config("bridge", format_args!("{name:?}"), &e.msg).details(e.details)
                })?)
            }
            "ptp" => Join::Ptp,
            other => {
                return Err(Error::config(
                    "attach",
                    format_args!("{other:?}"),
                    "known are \"bridge\" and \"ptp\"",
                ));
            }
        };
        Ok(Self {
            node: peers::Config::parse(way, conf)?,
            join,
            default_route: raw.is_default_gateway.unwrap_or(true),
            masquerade: raw.ip_masq,
            fixed_mtu: raw.mtu != 0,
        })
    }
}
