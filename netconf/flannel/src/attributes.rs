//! What a node tells the others of itself, wherever it is written.

use std::net::IpAddr;

use cni::{Error, Json};
use kernel::MacAddr;

use crate::Backend;

/// How a node is reached in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The end of the tunnel, or the gateway.
    pub ip: IpAddr,
    /// The hardware address of its VXLAN device.
    pub vtep: Option<MacAddr>,
}

/// How a node is reached in each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// For IPv4 pods.
    pub v4: Option<End>,
    /// For IPv6 pods.
    pub v6: Option<End>,
}

impl Attributes {
    /// Of a family.
    pub fn of(&self, ipv6: bool) -> Option<End> {
        if ipv6 { self.v6 } else { self.v4 }
    }
}

/// What is written of a family: keys and values.
pub(crate) struct Written<'w> {
    pub(crate) ipv6: bool,
    pub(crate) ip: (&'w str, Option<&'w str>),
    pub(crate) data: (&'w str, &'w Json),
}

impl Written<'_> {
    /// Reads it. Code 7, with the key and the value.
    pub(crate) fn read(&self, backend: Backend) -> Result<End, Error> {
        let (key, text) = self.ip;
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Err(Error::new(cni::Code::CONFIG, format!("{key} is missing")));
        };
        let ip = address(key, text, self.ipv6)?;
        let (key, data) = self.data;
        Ok(End { ip, vtep: backend.vtep(key, data)? })
    }
}

/// Reads an address of a family. Code 7.
pub(crate) fn address(key: &str, text: &str, ipv6: bool) -> Result<IpAddr, Error> {
    let ip: Option<IpAddr> = text.parse().ok();
    ip.filter(|ip| ip.is_ipv6() == ipv6).ok_or_else(|| {
        let why = if ipv6 { "must be an IPv6 address" } else { "must be an IPv4 address" };
        Error::config(key, format_args!("{text:?}"), why)
    })
}
