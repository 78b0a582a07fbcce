//! The options of `portmap`.

use std::fmt;
use std::net::IpAddr;

use cni::{Error, NetConf};
use firewall::ports::iptables::Options;
use firewall::ports::{At, Conditions, Mapping, Protocol, Snat};
use serde::Deserialize;

/// The bit of the reference plugin. (Kubernetes uses 14 and 15, Calico 20 to 31.)
const MARK_BIT: u8 = 13;

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    backend: String,
    snat: Option<bool>,
    masq_all: bool,
    mark_masq_bit: Option<i64>,
    external_set_mark_chain: Option<String>,
    conditions_v4: Vec<String>,
    conditions_v6: Vec<String>,
    runtime_config: RawRuntimeConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawRuntimeConfig {
    port_mappings: Vec<RawMapping>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawMapping {
    host_port: i64,
    container_port: i64,
    protocol: String,
    #[serde(rename = "hostIP")]
    host_ip: String,
}

/// The options, checked. README.md of the plugin describes each.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) backend: Backend,
    pub(super) snat: Snat,
    /// For nf_tables.
    pub(super) conditions: Vec<Conditions>,
    pub(super) mappings: Vec<Mapping>,
}

/// What makes the mappings.
#[derive(Debug)]
pub(super) enum Backend {
    Nftables,
    Iptables(Options),
}

impl Config {
    /// Reads and checks the options.
    pub(super) fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let snat = match (raw.snat.unwrap_or(true), raw.masq_all) {
            (true, false) => Snat::Needed,
            (true, true) => Snat::Everything,
            (false, false) => Snat::Nothing,
            (false, true) => {
                let why = "contradicts \"snat\": false, which masquerades nothing";
                return Err(Error::config("masqAll", true, why));
            }
        };
        let mark_bit = raw.mark_bit()?;
        let iptables = raw.wants_iptables()?;
        let mappings = mappings(&raw.runtime_config.port_mappings)?;
        if iptables {
            let conditions = [raw.conditions_v4, raw.conditions_v6];
            let options = Options { mark_bit, mark_chain: raw.external_set_mark_chain, conditions };
            let backend = Backend::Iptables(options);
            return Ok(Self { backend, snat, conditions: Vec::new(), mappings });
        }
        let mut conditions = Vec::new();
        for (key, v6, words) in [
            ("conditionsV4", false, &raw.conditions_v4),
            ("conditionsV6", true, &raw.conditions_v6),
        ] {
            let parsed = Conditions::parse(v6, words)
                .map_err(|why| Error::config(key, List(words), &why))?;
            conditions.extend(parsed);
        }
        Ok(Self { backend: Backend::Nftables, snat, conditions, mappings })
    }
}

impl Raw {
    fn mark_bit(&self) -> Result<u8, Error> {
        let Some(bit) = self.mark_masq_bit else { return Ok(MARK_BIT) };
        if let Some(chain) = &self.external_set_mark_chain {
            let why = "excludes externalSetMarkChain, which sets its own mark";
            return Err(Error::config("markMasqBit", bit, why)
                .details(format!("externalSetMarkChain is {chain:?}")));
        }
        u8::try_from(bit)
            .ok()
            .filter(|bit| *bit < 32)
            .ok_or_else(|| Error::config("markMasqBit", bit, "a mark's bits are 0 to 31"))
    }

    /// Whether iptables is asked for: by name, or by what only it knows.
    fn wants_iptables(&self) -> Result<bool, Error> {
        let asked = match self.backend.as_str() {
            "" => None,
            "nftables" => Some(false),
            "iptables" => Some(true),
            other => {
                let why = "known are \"nftables\" and \"iptables\"";
                return Err(Error::config("backend", format_args!("{other:?}"), why));
            }
        };
        if let Some(chain) = &self.external_set_mark_chain {
            let odd = |c: char| c.is_whitespace() || c.is_control();
            if chain.is_empty() || chain.len() > 28 || chain.contains(odd) {
                let why = "is not the name of a chain";
                return Err(Error::config("externalSetMarkChain", format_args!("{chain:?}"), why));
            }
            if asked == Some(false) {
                let why = "is a chain of iptables, which \"backend\": \"nftables\" has none of";
                return Err(Error::config("externalSetMarkChain", format_args!("{chain:?}"), why));
            }
        }
        let lists = [("conditionsV4", &self.conditions_v4), ("conditionsV6", &self.conditions_v6)];
        let mut of_iptables = self.external_set_mark_chain.is_some();
        let mut of_nftables = false;
        for (key, words) in lists {
            // To iptables-restore a line break begins another command.
            if words.iter().any(|word| word.contains(char::is_control)) {
                let why = "have a control character in them";
                return Err(Error::config(key, List(words), why));
            }
            let Some(first) = words.iter().find(|word| !word.is_empty()) else { continue };
            let is = first.starts_with(['-', '!']);
            if asked.is_some_and(|asked| asked != is) {
                let (have, want) = if is { ("iptables", "nftables") } else { ("nft", "iptables") };
                let why = format!("are written as {have} has them, and \"backend\" is {want:?}");
                return Err(Error::config(key, List(words), &why));
            }
            of_iptables |= is;
            of_nftables |= !is;
        }
        if of_iptables && of_nftables {
            let why = "are written as nft has them, and another option as iptables does";
            let (key, words) = lists
                .into_iter()
                .find(|(_, words)| words.first().is_some_and(|w| !w.starts_with(['-', '!'])))
                .unwrap_or(("conditionsV4", &self.conditions_v4));
            return Err(Error::config(key, List(words), why));
        }
        Ok(asked.unwrap_or(of_iptables))
    }
}

/// The options that iptables is given as they are, for when it refuses them.
pub(super) fn told(options: &Options) -> String {
    let keys = ["conditionsV4", "conditionsV6"].into_iter().zip(&options.conditions);
    let lists = keys.filter(|(_, words)| !words.is_empty());
    let chain = options.mark_chain.iter().map(|chain| format!("externalSetMarkChain is {chain:?}"));
    chain
        .chain(lists.map(|(key, words)| format!("{key} are {}", List(words))))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Words as they stand in the configuration.
struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn mappings(raw: &[RawMapping]) -> Result<Vec<Mapping>, Error> {
    let mut mappings: Vec<Mapping> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let mapping = raw.parse(&format!("runtimeConfig.portMappings[{index}]"))?;
        let place = |m: &Mapping| (m.protocol, m.at, m.host_port);
        if let Some(other) = mappings.iter().find(|other| place(other) == place(&mapping)) {
            if other.container_port != mapping.container_port {
                let key = format!("runtimeConfig.portMappings[{index}].hostPort");
                let why = format!(
                    "leads to the container's port {} already, and cannot lead to {} as well",
                    other.container_port, mapping.container_port
                );
                return Err(Error::config(&key, mapping, &why));
            }
            continue;
        }
        mappings.push(mapping);
    }
    Ok(mappings)
}

impl RawMapping {
    fn parse(&self, at: &str) -> Result<Mapping, Error> {
        let Self { host_port, container_port, protocol, host_ip } = self;
        let port = |key: &str, port: i64| {
            u16::try_from(port)
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| Error::config(&format!("{at}.{key}"), port, "a port is 1 to 65535"))
        };
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "" | "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => {
                let why = "known are \"tcp\", \"udp\" and \"sctp\"";
                let key = format!("{at}.protocol");
                return Err(Error::config(&key, format_args!("{protocol:?}"), why));
            }
        };
        let address = match host_ip.as_str() {
            "" => None,
            // An IPv4 address in the clothes of IPv6 is one of IPv4, as to the reference.
            text => Some(text.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_| {
                let why = "must be an address, or empty for all";
                Error::config(&format!("{at}.hostIP"), format_args!("{text:?}"), why)
            })?),
        };
        Ok(Mapping {
            protocol,
            at: match address {
                None => At::Every,
                Some(any) if any.is_unspecified() => At::Family { v6: any.is_ipv6() },
                Some(one) => At::One(one),
            },
            host_port: port("hostPort", *host_port)?,
            container_port: port("containerPort", *container_port)?,
        })
    }
}

#[cfg(test)]
mod tests;
