//! The options.

use cni::{Error, IfName, NetConf};
use serde::Deserialize;

use crate::tables::RESERVED;

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    vrfname: String,
    table: i64,
}

/// The options, checked.
#[derive(Debug)]
pub struct Config {
    /// The VRF's name.
    pub name: IfName,
    /// Its table; `None` for any that is free.
    pub table: Option<u32>,
}

impl Config {
    /// Reads and checks the options.
    pub fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        if raw.vrfname.is_empty() {
            return Err(Error::config("vrfname", "\"\"", "the VRF must have a name"));
        }
        let name = attach::config::link_name("vrfname", &raw.vrfname)?;
        let table = match (raw.table, u32::try_from(raw.table)) {
            (0, _) => None,
            (_, Ok(table)) if RESERVED.contains(&table) => {
                let why = "253 to 255 are the kernel's own: default, main, local";
                return Err(Error::config("table", table, why));
            }
            (_, Ok(table)) => Some(table),
            (other, Err(_)) => {
                let why = "a table is 1 to 4294967295, 0 for any that is free";
                return Err(Error::config("table", other, why));
            }
        };
        Ok(Self { name, table })
    }
}

/// The VRF's name, for a DEL that takes any configuration.
pub fn name(conf: &NetConf) -> Option<String> {
    conf.decode::<Raw>().ok().map(|raw| raw.vrfname).filter(|name| name.parse::<IfName>().is_ok())
}
