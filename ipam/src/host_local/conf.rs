//! What `host-local` reads from a config.

use std::path::PathBuf;

use cni::{Call, Error, NetConf};
use serde::Deserialize;

use crate::range::{RangeConf, Ranges, Sources};
use crate::request::{Requests, comma_separated};
use crate::route::RouteConf;

/// Where the reference keeps leases.
const DATA_DIR: &str = "/var/lib/cni/networks";

/// The config.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Conf {
    /// `ipam`
    pub ipam: IpamConf,
    runtime_config: RuntimeConf,
    args: ArgsConf,
}

/// The config's `ipam`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IpamConf {
    subnet: Option<String>,
    range_start: Option<String>,
    range_end: Option<String>,
    gateway: Option<String>,
    ranges: Vec<Vec<RangeConf>>,
    /// Handed on.
    pub routes: Vec<RouteConf>,
    /// A file that becomes the result's `dns`.
    pub resolv_conf: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RuntimeConf {
    ip_ranges: Vec<Vec<RangeConf>>,
    ips: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ArgsConf {
    cni: CniArgs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CniArgs {
    ips: Vec<String>,
}

impl Conf {
    /// Decodes the config. Code 6 or 7.
    pub fn of(conf: &NetConf) -> Result<Self, Error> {
        conf.decode()
    }

    /// The range sets; none when the config has none at all, which a capability may make good.
    /// Code 7.
    pub fn ranges(&self, conf: &NetConf) -> Result<Option<Ranges>, Error> {
        let single = RangeConf {
            subnet: self.ipam.subnet.clone(),
            range_start: self.ipam.range_start.clone(),
            range_end: self.ipam.range_end.clone(),
            gateway: self.ipam.gateway.clone(),
        };
        let sources = Sources {
            runtime: &self.runtime_config.ip_ranges,
            single: &single,
            ranges: &self.ipam.ranges,
        };
        if sources.is_empty() { Ok(None) } else { Ranges::new(sources, conf.version).map(Some) }
    }

    /// The addresses asked for: the union of all that ask. Code 4 or 7.
    pub fn requests(&self, call: &Call) -> Result<Requests, Error> {
        let args = call.args_for(&["IP"])?;
        let asked = comma_separated(args.get("IP"));
        Requests::new(&[
            ("CNI_ARGS IP", &asked),
            ("args.cni.ips", &self.args.cni.ips),
            ("runtimeConfig.ips", &self.runtime_config.ips),
        ])
    }
}

/// Where the leases are. Decoded by itself, so that DEL and GC find them in a config of which
/// nothing else can be read.
#[derive(Debug)]
pub struct Place {
    /// The root of the store.
    pub data_dir: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PlaceConf {
    ipam: PlaceIpam,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PlaceIpam {
    data_dir: String,
}

impl Place {
    /// The place that the config names. Code 6 or 7.
    pub fn of(conf: &NetConf) -> Result<Self, Error> {
        let named = conf.decode::<PlaceConf>()?.ipam.data_dir;
        let named = if named.is_empty() { DATA_DIR.to_owned() } else { named };
        Ok(Self { data_dir: named.into() })
    }
}
