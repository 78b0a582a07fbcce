//! The options.

use std::net::IpAddr;

use cni::{Error, NetConf};
use serde::Deserialize;

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    table: Option<i64>,
    gateways: Vec<String>,
    add_source_hints: bool,
}

/// The options, checked.
#[derive(Debug, Default)]
pub struct Config {
    /// The table of somebody else that rules are to lead to.
    pub table: Option<u32>,
    /// At most one of a family.
    pub gateways: Vec<IpAddr>,
    /// The subnets stay in main, with the address to use for what the container itself begins.
    pub source_hints: bool,
}

impl Config {
    /// Reads and checks the options.
    pub fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let table = match raw.table {
            None => None,
            Some(number) => Some(
                u32::try_from(number)
                    .ok()
                    .filter(|table| *table != 0)
                    .ok_or_else(|| Error::config("table", number, "a table is 1 to 4294967295"))?,
            ),
        };
        let mut gateways: Vec<IpAddr> = Vec::new();
        for (at, text) in raw.gateways.iter().enumerate() {
            let key = format!("gateways[{at}]");
            let bad = |why: &str| Error::config(&key, format_args!("{text:?}"), why);
            let gateway: IpAddr = text.parse().map_err(|_| bad("not an IP address"))?;
            if gateway.is_unspecified() || gateway.is_multicast() || gateway.is_loopback() {
                return Err(bad("nobody else can have this address"));
            }
            if let Some(other) = gateways.iter().find(|g| g.is_ipv6() == gateway.is_ipv6()) {
                return Err(bad(&format!("there is one of its family already, {other}")));
            }
            gateways.push(gateway);
        }
        if let Some(table) = table {
            let with =
                [("gateways", !gateways.is_empty()), ("addSourceHints", raw.add_source_hints)];
            if let Some((key, _)) = with.iter().find(|(_, set)| *set) {
                let why =
                    format!("{key} is for tables of its own, and this one is somebody else's");
                return Err(Error::config("table", table, &why));
            }
        }
        Ok(Self { table, gateways, source_hints: raw.add_source_hints })
    }
}

/// The option `table`, for a DEL that takes any configuration.
pub fn table(conf: &NetConf) -> Option<u32> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Conf {
        table: Option<u32>,
    }
    conf.decode::<Conf>().unwrap_or_default().table
}
