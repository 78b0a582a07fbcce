//! The options.

use cni::{Error, NetConf};
use serde::Deserialize;

use super::limit::Limit;

/// The options as they are written, in the configuration or by the runtime.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    ingress_rate: Option<u64>,
    ingress_burst: Option<u64>,
    egress_rate: Option<u64>,
    egress_burst: Option<u64>,
    shaped_subnets: Option<Vec<String>>,
    unshaped_subnets: Option<Vec<String>>,
    runtime_config: RawRuntime,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawRuntime {
    bandwidth: Option<RawBandwidth>,
}

/// The capability `bandwidth`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawBandwidth {
    ingress_rate: u64,
    ingress_burst: u64,
    egress_rate: u64,
    egress_burst: u64,
    shaped_subnets: Option<Vec<String>>,
    unshaped_subnets: Option<Vec<String>>,
}

/// The options, checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What the container may receive.
    pub ingress: Option<Limit>,
    /// What it may send.
    pub egress: Option<Limit>,
}

impl Config {
    /// Reads and checks the options. Where the configuration has any, it counts alone.
    pub fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let own = [raw.ingress_rate, raw.ingress_burst, raw.egress_rate, raw.egress_burst];
        let (prefix, asked) = if own.iter().any(Option::is_some) {
            let or_none = |number: Option<u64>| number.unwrap_or_default();
            let asked = RawBandwidth {
                ingress_rate: or_none(raw.ingress_rate),
                ingress_burst: or_none(raw.ingress_burst),
                egress_rate: or_none(raw.egress_rate),
                egress_burst: or_none(raw.egress_burst),
                shaped_subnets: raw.shaped_subnets,
                unshaped_subnets: raw.unshaped_subnets,
            };
            ("", asked)
        } else {
            ("runtimeConfig.bandwidth.", raw.runtime_config.bandwidth.unwrap_or_default())
        };
        let subnets = [
            ("shapedSubnets", asked.shaped_subnets.unwrap_or_default()),
            ("unshapedSubnets", asked.unshaped_subnets.unwrap_or_default()),
        ];
        for (key, _) in subnets.iter().filter(|(_, list)| !list.is_empty()) {
            cni::warn(format_args!(
                "bandwidth: {prefix}{key} is not served: everything is limited, as by the reference since 1.6"
            ));
        }
        let limit = |way: &str, rate, burst| Limit::parse(&format!("{prefix}{way}"), rate, burst);
        Ok(Self {
            ingress: limit("ingress", asked.ingress_rate, asked.ingress_burst)?,
            egress: limit("egress", asked.egress_rate, asked.egress_burst)?,
        })
    }

    /// True when nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
