//! The options.

use std::path::PathBuf;

use cni::{Error, Json, NetConf};
use serde::Deserialize;

/// Where the daemon writes the node's subnet.
const SUBNET_FILE: &str = "/run/flannel/subnet.env";
/// Where flannel's own plugin keeps what it delegated.
const DATA_DIR: &str = "/var/lib/cni/flannel";

/// The options as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    subnet_file: String,
    data_dir: String,
    delegate: Json,
    ipam: Json,
    runtime_config: Json,
}

/// The options, checked. README.md describes each.
#[derive(Debug)]
pub struct Config {
    /// `subnetFile`
    pub subnet_file: PathBuf,
    /// `dataDir`
    pub data_dir: PathBuf,
    /// `delegate`
    pub delegate: Json,
    /// `ipam`: what the delegate's begins with.
    pub ipam: Json,
    /// `runtimeConfig`, handed on.
    pub capabilities: Json,
}

impl Config {
    /// Reads and checks. Code 6 or 7.
    pub fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let delegate = object("delegate", raw.delegate)?;
        for (key, why) in [
            ("name", "the delegate's name is the network's"),
            ("ipam", "what the delegate's ipam begins with stands in `ipam` beside `delegate`"),
        ] {
            if delegate.get(key).is_some() {
                return Err(Error::config(&format!("delegate.{key}"), "is set", why));
            }
        }
        Ok(Self {
            subnet_file: path("subnetFile", &raw.subnet_file, SUBNET_FILE)?,
            data_dir: path("dataDir", &raw.data_dir, DATA_DIR)?,
            delegate,
            ipam: object("ipam", raw.ipam)?,
            capabilities: raw.runtime_config,
        })
    }

    /// For the verbs that take away: what cannot be read is as if it were not there, so that a
    /// configuration that went wrong after the ADD keeps nothing alive.
    pub fn of_del(conf: &NetConf) -> Self {
        Self::parse(conf).unwrap_or_else(|_| {
            let tree = conf.tree();
            let text = |key| tree.get(key).and_then(Json::as_str).unwrap_or_default();
            let readable = |key, default: &str| {
                path(key, text(key), default).unwrap_or_else(|_| default.into())
            };
            let section = |key| {
                let found = tree.get(key).filter(|json| matches!(json, Json::Object(_)));
                found.cloned().unwrap_or_else(|| Json::Object(Vec::new()))
            };
            Self {
                subnet_file: readable("subnetFile", SUBNET_FILE),
                data_dir: readable("dataDir", DATA_DIR),
                delegate: section("delegate"),
                ipam: section("ipam"),
                capabilities: section("runtimeConfig"),
            }
        })
    }
}

fn path(key: &str, value: &str, default: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(if value.is_empty() { default } else { value });
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::config(key, format_args!("{value:?}"), "must be an absolute path"))
}

fn object(key: &str, json: Json) -> Result<Json, Error> {
    match json {
        Json::Null => Ok(Json::Object(Vec::new())),
        Json::Object(_) => Ok(json),
        other => Err(Error::config(key, other, "must be an object")),
    }
}
