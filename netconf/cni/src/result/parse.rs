//! Results as they come in: from the config's `prevResult`, or from a delegate's stdout.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Deserializer};

use super::{AddResult, Dns, Interface, IpConfig, Route};
use crate::{Code, Error, Json, Version};

impl AddResult {
    /// The result in `json`, which must be of `version` or of a version with the same form, and is
    /// taken to be so when it names none. `null` is an empty result.
    pub fn parse(json: &Json, version: Version) -> Result<Self, Error> {
        let own = version_of(json)?.unwrap_or(version);
        if Form::of(own) != Form::of(version) {
            return Err(Error::config(
                "cniVersion",
                own,
                &format!("a result for version {version} cannot have it"),
            ));
        }
        Self::parse_as(json, own)
    }

    /// The result in `json` in whatever version it names, in `assumed` when it names none: a
    /// delegate's.
    pub fn parse_any(json: &Json, assumed: Version) -> Result<Self, Error> {
        Self::parse_as(json, version_of(json)?.unwrap_or(assumed))
    }

    fn parse_as(json: &Json, version: Version) -> Result<Self, Error> {
        match Form::of(version) {
            Form::PerFamily => json.decode().map(PerFamily::into),
            Form::Versioned => json.decode().map(Listed::into).map(|mut result: Self| {
                for interface in &mut result.interfaces {
                    let known = std::mem::take(interface);
                    let (name, mac, sandbox) = (known.name, known.mac, known.sandbox);
                    *interface = Interface { name, mac, sandbox, ..Interface::default() };
                }
                result
            }),
            Form::Newest => json.decode().map(Listed::into),
        }
    }
}

/// The forms that a result had over the versions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// 0.1.0 and 0.2.0: `ip4` and `ip6`.
    PerFamily,
    /// 0.3.0 to 0.4.0: lists, with `version` at each address.
    Versioned,
    /// From 1.0.0 on.
    Newest,
}

impl Form {
    pub(super) fn of(version: Version) -> Self {
        match version {
            Version::V0_1_0 | Version::V0_2_0 => Self::PerFamily,
            Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => Self::Versioned,
            Version::V1_0_0 | Version::V1_1_0 => Self::Newest,
        }
    }
}

fn version_of(json: &Json) -> Result<Option<Version>, Error> {
    match json.get("cniVersion") {
        None => Ok(None),
        Some(Json::String(text)) if text.is_empty() => Ok(None),
        Some(Json::String(text)) => Version::named(text).map(Some).ok_or_else(|| {
            Error::config("cniVersion", Json::from(text.as_str()), "no such version of CNI")
        }),
        Some(other) => Err(Error::new(
            Code::DECODE,
            format!("cniVersion {other}: must be a string, not {}", other.kind()),
        )),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed {
    interfaces: Vec<Interface>,
    ips: Vec<IpConfig>,
    routes: Vec<Route>,
    dns: Dns,
}

impl From<Listed> for AddResult {
    fn from(Listed { interfaces, ips, routes, dns }: Listed) -> Self {
        Self { interfaces, ips, routes, dns }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PerFamily {
    ip4: Option<Family>,
    ip6: Option<Family>,
    dns: Dns,
}

#[derive(Deserialize)]
struct Family {
    #[serde(deserialize_with = "crate::cidr")]
    ip: IpNetwork,
    #[serde(default, deserialize_with = "crate::optional_ip")]
    gateway: Option<IpAddr>,
    #[serde(default)]
    routes: Vec<Route>,
}

impl From<PerFamily> for AddResult {
    fn from(PerFamily { ip4, ip6, dns }: PerFamily) -> Self {
        let mut result = Self { dns, ..Self::default() };
        for Family { ip, gateway, routes } in [ip4, ip6].into_iter().flatten() {
            result.ips.push(IpConfig { interface: None, address: ip, gateway });
            result.routes.extend(routes);
        }
        result
    }
}

/// Go omits numbers that are zero, and a zero that is written means as little.
pub(super) fn not_zero<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    u32::deserialize(deserializer).map(|number| (number != 0).then_some(number))
}

/// An index that cannot be one points nowhere, as one past the end does.
pub(super) fn index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    i64::deserialize(deserializer).map(|index| usize::try_from(index).ok())
}
