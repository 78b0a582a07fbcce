//! The options of a node-to-node network, as a plugin's configuration has them.

use std::path::{Path, PathBuf};

use cni::{Error, IfName, Json, NetConf};
use serde::Deserialize;

use crate::backend::{Backend, IpipOptions, Offload, Options, PROTOCOL, VxlanOptions};
use crate::source::Source;

/// Where the peer file, the lock and the record of a network are unless the configuration tells.
const RUN: &str = "/run/podwire";
/// The largest VXLAN identifier.
const LARGEST_VNI: i64 = 0xff_ffff;
/// The identifier that flannel and we take when none is given.
const DEFAULT_VNI: i64 = 1;
/// The port that the kernel and flannel take when none is given.
const DEFAULT_PORT: i64 = 8472;
/// The first protocol number that is not the kernel's own (`RTPROT_STATIC` is 4).
const FIRST_PROTOCOL: i64 = 5;
/// The longest name of a link (`IFNAMSIZ` less its NUL).
const LONGEST_NAME: usize = 15;
/// The device that the kernel's IPIP module makes.
pub const FALLBACK: &str = "tunl0";

/// The way to other nodes, by the plugin's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `host-gw`
    HostGw,
    /// `vxlan`
    Vxlan,
    /// `ipip`
    Ipip,
}

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    peers_file: String,
    local: Json,
    peers: Json,
    #[serde(rename = "clusterCIDRs")]
    cluster_cidrs: Json,
    state_dir: String,
    iface: String,
    mtu: i64,
    protocol: Option<i64>,
    checksum_offload: String,
    vni: Option<i64>,
    port: Option<i64>,
    device: String,
    direct_routing: bool,
    pmtudisc: Option<bool>,
}

/// What a node-to-node network is configured with, and where it keeps what.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The options.
    pub options: Options,
    /// Where the fleet is described.
    pub source: Source,
    /// The directory of the lock and the record.
    pub state: PathBuf,
}

impl Config {
    /// Reads and checks the options. Code 6 or 7.
    pub fn parse(way: Way, conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let home = Path::new(RUN).join(conf.network.as_str());
        let state = match raw.state_dir.as_str() {
            "" => home.clone(),
            directory => absolute("stateDir", directory)?,
        };
        let options = Options {
            network: conf.network.clone(),
            backend: raw.backend(way)?,
            mtu: mtu(raw.mtu)?,
            protocol: within("protocol", raw.protocol, i64::from(PROTOCOL), FIRST_PROTOCOL..=255)?,
            iface: optional_link("iface", &raw.iface)?,
            offload: offload(&raw.checksum_offload)?,
        };
        Ok(Self { options, source: raw.source(&home)?, state })
    }
}

impl Raw {
    fn backend(&self, way: Way) -> Result<Backend, Error> {
        let device = optional_link("device", &self.device)?;
        match way {
            Way::HostGw => Ok(Backend::HostGw),
            Way::Vxlan => {
                let vni = within("vni", self.vni, DEFAULT_VNI, 1..=LARGEST_VNI)?;
                let device = match device {
                    Some(device) => device,
                    None => link("device", &format!("vxlan.{vni}"))?,
                };
                Ok(Backend::Vxlan(VxlanOptions {
                    vni,
                    port: within("port", self.port, DEFAULT_PORT, 1..=65535)?,
                    device_v6: ipv6_device(&device)?,
                    device,
                    direct_routing: self.direct_routing,
                }))
            }
            Way::Ipip => Ok(Backend::Ipip(IpipOptions {
                device: match device {
                    Some(device) => device,
                    None => link("device", FALLBACK)?,
                },
                direct_routing: self.direct_routing,
                path_mtu_discovery: self.pmtudisc.unwrap_or(true),
            })),
        }
    }

    fn source(&self, home: &Path) -> Result<Source, Error> {
        let inline =
            [("local", &self.local), ("peers", &self.peers), ("clusterCIDRs", &self.cluster_cidrs)];
        let given = inline.iter().find(|(_, json)| **json != Json::Null);
        match (given, self.peers_file.as_str()) {
            (None, "") => Ok(Source::File(home.join("peers.json"))),
            (None, file) => Ok(Source::File(absolute("peersFile", file)?)),
            (Some((key, _)), file) if !file.is_empty() => Err(Error::config(
                "peersFile",
                format_args!("{file:?}"),
                &format!("the configuration has {key} itself"),
            )
            .details("describe the fleet in one place: in the file, or in the configuration")),
            (Some(_), _) => {
                let mut members = vec![("version".to_owned(), Json::from(1_u32))];
                members.extend(inline.map(|(key, json)| (key.to_owned(), json.clone())));
                Ok(Source::Inline(Json::Object(members)))
            }
        }
    }
}

/// The device for IPv6 beside one for IPv4: `-v6` before the last dot, as flannel names its own. What
/// stands before gives way where the name would be too long.
fn ipv6_device(device: &IfName) -> Result<IfName, Error> {
    let device = device.as_str();
    let (stem, end) = match device.rfind('.') {
        Some(dot) => device.split_at(dot),
        None => (device, ""),
    };
    let room = LONGEST_NAME.saturating_sub("-v6".len() + end.len());
    let cut = (0..=room.min(stem.len())).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
    let name = format!("{}-v6{end}", stem.get(..cut).unwrap_or_default());
    link("device", &name)
}

fn link(key: &str, name: &str) -> Result<IfName, Error> {
    name.parse()
        .map_err(|e: Error| Error::config(key, format_args!("{name:?}"), &e.msg).details(e.details))
}

fn optional_link(key: &str, name: &str) -> Result<Option<IfName>, Error> {
    if name.is_empty() { Ok(None) } else { link(key, name).map(Some) }
}

fn absolute(key: &str, path: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    let why = "the path must be absolute: runtimes call plugins in directories of their own";
    Err(Error::config(key, format_args!("{:?}", path.display().to_string()), why))
}

/// A number that is given or not, within a range.
fn within<T: TryFrom<i64>>(
    key: &str,
    given: Option<i64>,
    default: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<T, Error> {
    let value = given.unwrap_or(default);
    let fits = range.contains(&value).then(|| T::try_from(value).ok()).flatten();
    fits.ok_or_else(|| {
        let why = format!("must be {} to {}", range.start(), range.end());
        Error::config(key, value, &why)
    })
}

fn mtu(mtu: i64) -> Result<Option<u32>, Error> {
    match mtu {
        0 => Ok(None),
        68..=65535 => Ok(u32::try_from(mtu).ok()),
        _ => Err(Error::config("mtu", mtu, "must be 68 to 65535, or 0 for the default")),
    }
}

fn offload(text: &str) -> Result<Offload, Error> {
    match text {
        "" | "auto" => Ok(Offload::Auto),
        "on" => Ok(Offload::On),
        "off" => Ok(Offload::Off),
        _ => Err(Error::config(
            "checksumOffload",
            format_args!("{text:?}"),
            "known are \"auto\", \"on\" and \"off\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(way: Way, more: &str) -> Result<Config, Error> {
        let conf = format!(r#"{{"cniVersion": "1.1.0", "name": "pods", "type": "x"{more}}}"#);
        Config::parse(way, &NetConf::parse(conf.into_bytes()).unwrap())
    }

    fn vxlan(config: &Config) -> &VxlanOptions {
        match &config.options.backend {
            Backend::Vxlan(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_field() {
        let config = parse(Way::Vxlan, "").unwrap();
        let options = vxlan(&config);
        assert_eq!((options.vni, options.port), (1, 8472));
        assert_eq!(options.device.as_str(), "vxlan.1");
        assert_eq!(options.device_v6.as_str(), "vxlan-v6.1");
        assert_eq!(config.options.protocol, 112);
        assert_eq!(config.source, Source::File("/run/podwire/pods/peers.json".into()));
        assert_eq!(config.state, Path::new("/run/podwire/pods"));
        let config = parse(Way::Ipip, "").unwrap();
        assert!(matches!(
            &config.options.backend,
            Backend::Ipip(o) if o.device.as_str() == "tunl0" && o.path_mtu_discovery
        ));
    }

    #[test]
    fn the_device_for_ipv6_is_named_as_flannel_names_it() {
        let config = parse(Way::Vxlan, r#", "device": "flannel.1""#).unwrap();
        assert_eq!(vxlan(&config).device_v6.as_str(), "flannel-v6.1");
        let config = parse(Way::Vxlan, r#", "device": "overlay""#).unwrap();
        assert_eq!(vxlan(&config).device_v6.as_str(), "overlay-v6");
        for (more, name) in [
            (r#", "device": "thirteen-long""#, "thirteen-lon-v6"),
            (r#", "vni": 16777215"#, "vxl-v6.16777215"),
        ] {
            assert_eq!(vxlan(&parse(Way::Vxlan, more).unwrap()).device_v6.as_str(), name);
        }
    }

    #[test]
    fn what_is_out_of_range_is_named_with_its_key_and_value() {
        for (way, more, says) in [
            (Way::Vxlan, r#", "vni": 0"#, "vni 0: must be 1 to 16777215"),
            (Way::Vxlan, r#", "vni": 16777216"#, "vni 16777216"),
            (Way::Vxlan, r#", "port": 0"#, "port 0: must be 1 to 65535"),
            (Way::Vxlan, r#", "port": 70000"#, "port 70000"),
            (Way::Vxlan, r#", "device": "a-name-that-is-16""#, "device \"a-name-that-is-16\""),
            (Way::HostGw, r#", "protocol": 4"#, "protocol 4: must be 5 to 255"),
            (Way::HostGw, r#", "protocol": 256"#, "protocol 256"),
            (Way::HostGw, r#", "mtu": 67"#, "mtu 67"),
            (Way::HostGw, r#", "iface": "a/b""#, "iface \"a/b\""),
            (Way::HostGw, r#", "peersFile": "peers.json""#, "peersFile \"peers.json\""),
            (Way::HostGw, r#", "stateDir": "state""#, "stateDir \"state\""),
            (Way::Ipip, r#", "checksumOffload": "maybe""#, "checksumOffload \"maybe\""),
            (Way::HostGw, r#", "peersFile": "/p", "peers": []"#, "has peers itself"),
            (Way::HostGw, r#", "peersFile": "/p", "local": {}"#, "has local itself"),
        ] {
            let error = parse(way, more).unwrap_err();
            assert_eq!(error.code, cni::Code::CONFIG, "{error}");
            assert!(error.msg.contains(says), "{error}");
        }
    }

    #[test]
    fn a_fleet_may_stand_in_the_configuration() {
        let more = r#", "clusterCIDRs": ["10.0.0.0/8"], "local": {"name": "a"}"#;
        let Source::Inline(tree) = parse(Way::HostGw, more).unwrap().source else { panic!() };
        assert_eq!(tree.get("version"), Some(&Json::from(1_u32)));
        assert_eq!(tree.get("local").and_then(|l| l.get("name")), Some(&Json::from("a")));
        assert_eq!(tree.get("peers"), None);
    }
}
