//! The result of an ADD, in its newest form. Older forms exist only at the borders of the process.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::Deserialize;

mod parse;
mod print;

/// What an ADD made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddResult {
    /// The interfaces made, those of the host with an empty `sandbox`.
    pub interfaces: Vec<Interface>,
    /// The addresses given.
    pub ips: Vec<IpConfig>,
    /// The container's routes.
    pub routes: Vec<Route>,
    /// The container's resolver.
    pub dns: Dns,
}

/// An interface of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, empty where it has none.
    pub mac: String,
    /// Its MTU in bytes (1.1.0).
    #[serde(deserialize_with = "parse::not_zero")]
    pub mtu: Option<u32>,
    /// `CNI_NETNS` for a container's interface, empty for the host's.
    pub sandbox: String,
    /// A socket that stands for the interface (1.1.0).
    pub socket_path: String,
    /// The PCI address of its device (1.1.0).
    #[serde(rename = "pciID")]
    pub pci_id: String,
}

/// An address of a result.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpConfig {
    /// The index in `interfaces` of the interface that has it. Results of others may point nowhere.
    #[serde(default, deserialize_with = "parse::index")]
    pub interface: Option<usize>,
    /// The address with its prefix length, host bits kept.
    #[serde(deserialize_with = "crate::cidr")]
    pub address: IpNetwork,
    /// The gateway of its subnet.
    #[serde(default, deserialize_with = "crate::optional_ip")]
    pub gateway: Option<IpAddr>,
}

/// A route of a result, with the attributes of 1.1.0.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The destination.
    #[serde(deserialize_with = "crate::cidr")]
    pub dst: IpNetwork,
    /// The gateway; without one the attachment's gateway of that family is meant.
    #[serde(default, deserialize_with = "crate::optional_ip")]
    pub gw: Option<IpAddr>,
    /// MTU of the path in bytes.
    #[serde(default, deserialize_with = "parse::not_zero")]
    pub mtu: Option<u32>,
    /// TCP MSS announced, in bytes.
    #[serde(default, deserialize_with = "parse::not_zero")]
    pub advmss: Option<u32>,
    /// Metric.
    #[serde(default, deserialize_with = "parse::not_zero")]
    pub priority: Option<u32>,
    /// Routing table; `None` is main.
    pub table: Option<u32>,
    /// Scope: 0 global, 253 link, 254 host.
    pub scope: Option<u8>,
}

/// A resolver's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Dns {
    /// Servers, as addresses.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: String,
    /// Domains searched.
    pub search: Vec<String>,
    /// Options as in resolv.conf(5).
    pub options: Vec<String>,
}

impl Dns {
    /// True when nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
