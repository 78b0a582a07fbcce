//! The options.

use std::path::PathBuf;

use attach::config::{self, RawMac};
use cni::{Call, Error, NetConf};
use kernel::MacAddr;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::key::Wanted;
use super::settings::Settings;

/// Where the reference keeps its files, too.
const DIRECTORY: &str = "/run/cni/tuning";

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    data_dir: String,
    sysctl: RawSysctls,
    mac: String,
    promisc: bool,
    mtu: i64,
    allmulti: Option<bool>,
    tx_q_len: Option<i64>,
    runtime_config: RawMac,
    args: RawArgs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawArgs {
    cni: RawAsked,
}

/// What the runtime may ask for in `args.cni`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawAsked {
    sysctl: RawSysctls,
    mac: String,
    promisc: Option<bool>,
    mtu: Option<i64>,
    allmulti: Option<bool>,
    tx_q_len: Option<i64>,
}

/// The members of `sysctl` in their order, those that came twice twice.
#[derive(Debug, Default)]
struct RawSysctls(Vec<(String, String)>);

impl<'de> Deserialize<'de> for RawSysctls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawSysctls;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawSysctls, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawSysctls(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The options, checked. README.md of the plugin describes each.
#[derive(Debug, Default)]
pub struct Config {
    /// Where backups are.
    pub directory: PathBuf,
    /// The sysctls, in the order in which they are set.
    pub sysctls: Vec<Wanted>,
    /// The interface's attributes.
    pub settings: Settings,
}

impl Config {
    /// Reads and checks what one container is to get.
    pub fn of_call(call: &Call) -> Result<Self, Error> {
        let args = call.args_for(&["MAC"])?;
        let conf = Self::parse(&call.conf, args.get("MAC"))?;
        let ifname = call.attachment.ifname.as_str();
        // One of `conf.IFNAME` and one of `conf.eth0` may be the same.
        let mut paths: Vec<(String, &Wanted)> = Vec::new();
        for wanted in &conf.sysctls {
            let path = wanted.key.path(ifname);
            if let Some((_, earlier)) = paths.iter().find(|(other, _)| *other == path) {
                return Err(twice(&wanted.text, &earlier.text));
            }
            paths.push((path, wanted));
        }
        Ok(conf)
    }

    /// Reads and checks what each container of a network gets.
    pub fn of_network(conf: &NetConf) -> Result<Self, Error> {
        Self::parse(conf, None)
    }

    fn parse(conf: &NetConf, environment: Option<&str>) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let asked = raw.args.cni;
        let mut sysctls = distinct("sysctl", &raw.sysctl)?;
        for wanted in distinct("args.cni.sysctl", &asked.sysctl)? {
            match sysctls.iter_mut().find(|known| known.key == wanted.key) {
                Some(known) => *known = wanted,
                None => sysctls.push(wanted),
            }
        }
        let mtu = match asked.mtu {
            Some(mtu) => under("args.cni.", config::mtu(mtu))?,
            None => config::mtu(raw.mtu)?,
        };
        let tx_queue_length = match asked.tx_q_len {
            Some(packets) => under("args.cni.", queue_length(packets))?,
            None => raw.tx_q_len.map_or(Ok(None), queue_length)?,
        };
        // This order is the reference's.
        let macs = [
            ("args.cni.mac", asked.mac.as_str()),
            ("runtimeConfig.mac", raw.runtime_config.mac.as_str()),
            ("CNI_ARGS MAC", environment.unwrap_or_default()),
            ("mac", raw.mac.as_str()),
        ];
        let mac = macs.into_iter().find(|(_, text)| !text.is_empty());
        let settings = Settings {
            mac: mac.map(|(key, text)| MacAddr::under(key, text)).transpose()?,
            mtu,
            promiscuous: asked.promisc.unwrap_or(raw.promisc),
            all_multicast: asked.allmulti.or(raw.allmulti),
            tx_queue_length,
        };
        Ok(Self { directory: chosen(&raw.data_dir), sysctls, settings })
    }

    /// True when nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.sysctls.is_empty() && self.settings == Settings::default()
    }
}

/// Where backups are, for a DEL that takes any configuration.
pub fn directory(conf: &NetConf) -> PathBuf {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Conf {
        data_dir: String,
    }
    chosen(&conf.decode::<Conf>().unwrap_or_default().data_dir)
}

fn chosen(directory: &str) -> PathBuf {
    PathBuf::from(if directory.is_empty() { DIRECTORY } else { directory })
}

fn distinct(under: &str, raw: &RawSysctls) -> Result<Vec<Wanted>, Error> {
    let mut all: Vec<Wanted> = Vec::new();
    for (text, value) in &raw.0 {
        let wanted = Wanted::parse(under, text, value)?;
        if let Some(earlier) = all.iter().find(|other| other.key == wanted.key) {
            return Err(twice(text, &earlier.text));
        }
        all.push(wanted);
    }
    Ok(all)
}

fn twice(text: &str, earlier: &str) -> Error {
    let why = if text == earlier {
        "it is there twice".to_owned()
    } else {
        format!("it is there twice, as {earlier:?} as well")
    };
    Error::config("sysctl", format_args!("{text:?}"), &why)
}

fn queue_length(packets: i64) -> Result<Option<u32>, Error> {
    u32::try_from(packets)
        .map(Some)
        .map_err(|_| Error::config("txQLen", packets, "a queue takes 0 to 4294967295 packets"))
}

fn under<T>(prefix: &str, outcome: Result<T, Error>) -> Result<T, Error> {
    outcome.map_err(|e| Error { msg: format!("{prefix}{}", e.msg), ..e })
}
