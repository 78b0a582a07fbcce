//! The section `ipam` of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cni::{Error, NetConf};
use serde::Deserialize;

use crate::lease::Family;
use crate::lease::v4::option;
use crate::talk;

/// What is asked for unless `skipDefault` is said: what a lease is made of, and the resolver and
/// the MTU that the result tells.
const ASKED: [u8; 8] = [
    option::SUBNET_MASK,
    option::CLASSLESS_ROUTES,
    option::ROUTERS,
    option::STATIC_ROUTES,
    option::NAME_SERVERS,
    option::DOMAIN,
    option::SEARCH,
    option::MTU,
];
/// The names that options have besides their numbers.
const NAMES: [(&str, u8); 6] = [
    ("subnet-mask", 1),
    ("routers", 3),
    ("host-name", 12),
    ("vendor-class-identifier", 60),
    ("dhcp-client-identifier", 61),
    ("user-class", 77),
];
/// Padding, the requested address, overload, the message's type, the server, the options asked for,
/// the message's largest size, the end: they are the protocol's own.
const PROTOCOLS_OWN: [u8; 8] = [0, 50, 52, 53, 54, 55, 57, 255];
const LONGEST_VALUE: usize = 255;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Conf {
    ipam: Section,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Section {
    daemon_socket_path: String,
    provide: Vec<Provide>,
    request: Vec<Ask>,
    priority: i64,
    families: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Provide {
    option: String,
    value: String,
    from_arg: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Ask {
    option: String,
    skip_default: bool,
}

impl Conf {
    /// Reads it. Code 6 or 7.
    pub fn read(conf: &NetConf) -> Result<Self, Error> {
        conf.decode()
    }

    /// Where the daemon listens that a DEL is to ask, however little sense the other options make now.
    pub fn socket_of(conf: &NetConf) -> PathBuf {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Path {
            daemon_socket_path: String,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Lenient {
            ipam: Path,
        }
        let Lenient { ipam: Path { daemon_socket_path } } = conf.decode().unwrap_or_default();
        Self { ipam: Section { daemon_socket_path, ..Section::default() } }.socket()
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> PathBuf {
        match self.ipam.daemon_socket_path.as_str() {
            "" => talk::SOCKET.into(),
            path => path.into(),
        }
    }

    /// The options to send. `CNI_ARGS` are read as the reference reads them here: whatever is no pair
    /// is passed over, and a value may have a `=` in it.
    pub fn provide(&self, args: &str) -> Result<BTreeMap<u8, Vec<u8>>, Error> {
        let args: BTreeMap<&str, &str> =
            args.split(';').filter_map(|pair| pair.split_once('=')).collect();
        let mut all = BTreeMap::new();
        for (n, provide) in self.ipam.provide.iter().enumerate() {
            let key = format!("ipam.provide[{n}]");
            let code = code(&key, &provide.option)?;
            if PROTOCOLS_OWN.contains(&code) {
                let name = format!("{key}.option");
                return Err(Error::config(&name, &provide.option, "the protocol says this itself"));
            }
            let given = Some(("value", provide.value.as_str())).filter(|(_, v)| !v.is_empty());
            let argument = args.get(provide.from_arg.as_str()).map(|value| ("fromArg", *value));
            let Some((place, value)) = argument.filter(|(_, v)| !v.is_empty()).or(given) else {
                continue;
            };
            if value.len() > LONGEST_VALUE {
                let length = value.len();
                let why = format!("{length} bytes, and an option has {LONGEST_VALUE} at most");
                return Err(Error::config(
                    &format!("{key}.{place}"),
                    format_args!("{value:?}"),
                    &why,
                ));
            }
            all.insert(code, value.as_bytes().to_vec());
        }
        Ok(all)
    }

    /// The options to ask for.
    pub fn request(&self) -> Result<BTreeSet<u8>, Error> {
        let skip = self.ipam.request.iter().any(|ask| ask.skip_default);
        let mut all: BTreeSet<u8> = if skip { BTreeSet::new() } else { ASKED.into() };
        for (n, ask) in self.ipam.request.iter().enumerate() {
            let key = format!("ipam.request[{n}]");
            // The reference lets `skipDefault` stand alone no more than we do, but an empty name with it
            // can mean one thing only.
            if ask.option.is_empty() && ask.skip_default {
                continue;
            }
            all.insert(code(&key, &ask.option)?);
        }
        Ok(all)
    }

    /// What there are to be leases of.
    pub fn families(&self) -> Result<Vec<Family>, Error> {
        const KEY: &str = "ipam.families";
        let Some(names) = &self.ipam.families else { return Ok(vec![Family::default()]) };
        if names.is_empty() {
            return Err(Error::config(KEY, "[]", "an attachment without an address")
                .details("leave it out for IPv4, or name \"ipv4\", \"ipv6\" or both"));
        }
        let mut families = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let wrong =
                |why: &str| Error::config(&format!("{KEY}[{n}]"), format_args!("{name:?}"), why);
            let family = match name.as_str() {
                "ipv4" => Family::Ipv4,
                "ipv6" => Family::Ipv6,
                _ => return Err(wrong("neither \"ipv4\" nor \"ipv6\"")),
            };
            if families.contains(&family) {
                return Err(wrong("named twice"));
            }
            families.push(family);
        }
        Ok(families)
    }

    /// The metric of the routes.
    pub fn priority(&self) -> Result<u32, Error> {
        u32::try_from(self.ipam.priority).map_err(|_| {
            Error::config("ipam.priority", self.ipam.priority, &format!("not in 0 to {}", u32::MAX))
        })
    }
}

fn code(key: &str, name: &str) -> Result<u8, Error> {
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code);
    known.or_else(|| name.parse().ok()).ok_or_else(|| {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        Error::config(&format!("{key}.option"), format_args!("{name:?}"), "no DHCP option")
            .details(format!("an option is a number from 0 to 255, or {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests;
