//! The options that the kinds have in common.

use cni::{Asked, Call, Error, IfName, NetConf};
use kernel::MacAddr;
use serde::Deserialize;

use super::{Kind, Parent};
use crate::config::{self, RawDns, RawMac};

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    mtu: i64,
    enabledad: bool,
    dns: RawDns,
}

/// Those of kinds with a parent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawParent {
    master: String,
    link_in_container: bool,
}

/// Those of kinds with a hardware address.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawAddress {
    mac: String,
    runtime_config: RawMac,
}

/// The options that all kinds have, checked. README.md of the plugins describes each.
#[derive(Debug)]
pub struct Options {
    /// The link's MTU.
    pub mtu: Option<u32>,
    /// Its hardware address.
    pub mac: Option<MacAddr>,
    /// Replaces the resolver that IPAM gave.
    pub dns: RawDns,
    /// Its parent; `None` where the configuration names none.
    pub master: Option<IfName>,
    /// The parent is in the container.
    pub in_container: bool,
    /// Duplicate address detection for its IPv6 addresses.
    pub detect_duplicates: bool,
}

/// All options of a kind.
#[derive(Debug)]
pub struct Config<K> {
    /// Those in common.
    pub options: Options,
    /// The kind with its own.
    pub kind: K,
}

impl<K: Kind> Config<K> {
    /// Reads and checks the options of an ADD.
    pub fn of(call: &Call) -> Result<Self, Error> {
        if !K::ARGS {
            return Self::parse(&call.conf, None);
        }
        let args = call.args_for(&["MAC"])?;
        Self::parse(&call.conf, args.get("MAC"))
    }

    /// Reads and checks the options. `mac` is what `CNI_ARGS` asks for.
    pub fn parse(conf: &NetConf, mac: Option<&str>) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let parent: RawParent =
            if K::PARENT == Parent::None { RawParent::default() } else { conf.decode()? };
        let master = Some(parent.master.as_str()).filter(|name| !name.is_empty());
        let master = master.map(|name| config::link_name("master", name)).transpose()?;
        if master.is_none() && K::PARENT == Parent::Named {
            return Err(Error::new(cni::Code::CONFIG, "master is missing")
                .details("name the interface that the container's one is made upon"));
        }
        let mac = if K::MAC { address(&conf.decode()?, mac)? } else { None };
        let mtu = config::mtu(raw.mtu)?;
        if mtu.is_some_and(|mtu| mtu > K::LARGEST_MTU) {
            let why = format!("the MTU of such an interface is {} at most", K::LARGEST_MTU);
            return Err(Error::config("mtu", raw.mtu, &why));
        }
        let options = Options {
            mtu,
            mac,
            dns: raw.dns,
            master,
            in_container: parent.link_in_container,
            detect_duplicates: raw.enabledad,
        };
        Ok(Self { options, kind: K::parse(conf)? })
    }
}

/// `runtimeConfig.mac`, else `MAC` of `CNI_ARGS`, else `mac`.
fn address(raw: &RawAddress, environment: Option<&str>) -> Result<Option<MacAddr>, Error> {
    let given = |key, text: &str| (!text.is_empty()).then(|| MacAddr::under(key, text)).transpose();
    let asked = Asked {
        runtime_config: given("runtimeConfig.mac", &raw.runtime_config.mac)?,
        args_cni: None,
        cni_args: given("CNI_ARGS MAC", environment.unwrap_or_default())?,
        config: given("mac", &raw.mac)?,
    };
    Ok(asked.winner())
}
