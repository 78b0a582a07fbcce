//! Routes of a config, which an address manager hands on unchanged.

use std::fmt;

use cni::{Error, Route};
use serde::Deserialize;

use crate::address::{parse_cidr, parse_optional};

/// A route as the config has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteConf {
    dst: String,
    gw: Option<String>,
    mtu: Option<i64>,
    advmss: Option<i64>,
    priority: Option<i64>,
    table: Option<i64>,
    scope: Option<i64>,
}

/// The routes of `confs`, which stand at `ipam.routes`. Code 7.
pub fn routes(confs: &[RouteConf]) -> Result<Vec<Route>, Error> {
    confs.iter().enumerate().map(|(n, conf)| conf.route(&format!("ipam.routes[{n}]"))).collect()
}

impl RouteConf {
    fn route(&self, key: &str) -> Result<Route, Error> {
        Ok(Route {
            dst: parse_cidr(&format!("{key}.dst"), &self.dst)?,
            gw: parse_optional(&format!("{key}.gw"), self.gw.as_deref())?,
            mtu: attribute(key, "mtu", self.mtu)?.filter(|&mtu: &u32| mtu != 0),
            advmss: attribute(key, "advmss", self.advmss)?.filter(|&mss: &u32| mss != 0),
            priority: attribute(key, "priority", self.priority)?.filter(|&p: &u32| p != 0),
            table: attribute(key, "table", self.table)?,
            scope: attribute(key, "scope", self.scope)?,
        })
    }
}

fn attribute<T>(key: &str, name: &str, value: Option<i64>) -> Result<Option<T>, Error>
where
    T: TryFrom<i64> + Bounded + fmt::Display,
{
    let Some(value) = value else { return Ok(None) };
    T::try_from(value).map(Some).map_err(|_| {
        Error::config(&format!("{key}.{name}"), value, &format!("not in 0 to {}", T::LARGEST))
    })
}

trait Bounded: Sized {
    const LARGEST: Self;
}

impl Bounded for u8 {
    const LARGEST: Self = Self::MAX;
}

impl Bounded for u32 {
    const LARGEST: Self = Self::MAX;
}
