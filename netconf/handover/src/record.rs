//! What the journal remembers of a device that was handed over.

use std::net::IpAddr;
use std::path::PathBuf;

use cni::{Attachment, IfName};
use devices::{DeviceId, PciAddress};
use ipnetwork::IpNetwork;
use kernel::MacAddr;
use kernel::link::{Link, Vf};
use kernel::route::{self, Route};
use serde::{Deserialize, Serialize};

use crate::text;
use crate::vf::VfWanted;

/// The version of the form that is written. Another one is not understood.
pub const VERSION: u32 = 1;

/// A device that was handed over, or is about to be: written before it is changed, removed when it is
/// seen to be as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The form's version.
    pub version: u32,
    /// The plugin's `type`.
    pub plugin: String,
    /// Who has it.
    pub owner: Owner,
    /// Of which boot this speaks; of an earlier one nothing is left to restore.
    pub boot: String,
    /// The device.
    pub device: DeviceId,
    /// [`Device::incarnation`](devices::Device::incarnation).
    pub incarnation: u64,
    /// How far the attachment is.
    pub phase: Phase,
    /// By what the device is known again.
    pub identity: Identity,
    /// The network interface as it was on the host. `None` where a program drives the device.
    pub original: Option<Original>,
    /// The VF as its physical function had it, where that was asked to change it.
    pub original_vf: Option<Vf>,
    /// What was asked for.
    pub wanted: Asked,
}

/// The index of `lo` in every namespace, which is never handed over (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

impl Record {
    /// What of it no ADD can have written, if anything: then somebody has edited it.
    pub fn is_possible(&self) -> Result<(), String> {
        let original = self.original.as_ref().map(|was| ("original.name", &was.name));
        let names = [("owner.ifname", &self.owner.ifname)].into_iter().chain(original);
        for (key, name) in names {
            if name.parse::<IfName>().is_err() || name == "lo" {
                return Err(format!("{key} {name:?} is no name of a device's interface"));
            }
        }
        for (key, index) in [("index", self.identity.index), ("inside", self.identity.inside)] {
            if index == Some(LOOPBACK) {
                return Err(format!("identity.{key} {LOOPBACK} is that of lo"));
            }
        }
        Ok(())
    }
}

/// Who has a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface's name in the container.
    pub ifname: String,
    /// `CNI_NETNS`.
    pub netns: PathBuf,
    /// That namespace's [`cookie`](kernel::Netns::cookie): another namespace at the same path has
    /// another one.
    pub cookie: u64,
}

impl Owner {
    /// True when it is this attachment.
    pub fn is(&self, attachment: &Attachment) -> bool {
        self.network == attachment.network.as_str()
            && self.container == attachment.container.as_str()
            && self.ifname == attachment.ifname.as_str()
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "container {} (network {}, interface {})",
            self.container, self.network, self.ifname
        )
    }
}

/// How far an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// An ADD is at it.
    Taken,
    /// The ADD has succeeded.
    Ready,
    /// It is being given back: whoever comes next may finish that.
    Releasing,
}

/// By what a device's network interface is known again, whatever it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The driver bound to the device.
    pub driver: Option<String>,
    /// The interface's index on the host.
    pub index: Option<u32>,
    /// Its index in the container, as soon as that is known.
    pub inside: Option<u32>,
    /// Its kind: `veth`; empty for a physical one.
    pub kind: String,
    /// The index of its peer, which stays when it moves.
    pub peer: Option<u32>,
    /// It is an end of a veth pair whose other end is on the host: that one tells for sure.
    pub pair_at_home: bool,
    /// What the kernel calls its device ([`Link::parent_device`]).
    pub parent: Option<String>,
    /// The address that it was made with.
    pub permanent_mac: Option<MacAddr>,
    /// Of which VF it is.
    pub vf: Option<VfPlace>,
}

/// A VF's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VfPlace {
    /// The physical function's PCI address.
    pub pf: PciAddress,
    /// The VF's number.
    pub number: u32,
}

/// A network interface as it was on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Original {
    /// Its name.
    pub name: String,
    /// Its names beside that.
    pub alternative_names: Vec<String>,
    /// Its hardware address, where it has an Ethernet one.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// It was up.
    pub up: bool,
    /// It took every packet.
    pub promiscuous: bool,
    /// It took every multicast packet.
    pub all_multicast: bool,
    /// Its alias.
    pub alias: Option<String>,
    /// Its addresses of global scope, where they went along.
    pub addresses: Vec<Prefix>,
    /// Its routes, where they went along.
    pub routes: Vec<Carried>,
}

impl Original {
    /// The interface as it is now, without addresses and routes.
    pub fn of(link: &Link) -> Self {
        Self {
            name: link.name.clone(),
            alternative_names: link.alternative_names.clone(),
            mac: assignable(link.mac),
            mtu: link.mtu,
            up: link.up,
            promiscuous: link.promiscuous,
            all_multicast: link.all_multicast,
            alias: link.alias.clone(),
            addresses: Vec::new(),
            routes: Vec::new(),
        }
    }
}

/// The address when an interface can be given it: some VFs have none before they are told one.
pub fn assignable(mac: Option<MacAddr>) -> Option<MacAddr> {
    mac.filter(|mac| mac.to_string().parse::<MacAddr>().is_ok())
}

/// An address with its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prefix(#[serde(with = "text")] pub IpNetwork);

/// A route in main that went along with its interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The destination.
    pub dst: Prefix,
    /// The gateway.
    pub gw: Option<IpAddr>,
    /// The source address.
    pub src: Option<IpAddr>,
    /// The scope.
    pub scope: u8,
    /// MTU of the path in bytes.
    pub mtu: Option<u32>,
    /// TCP MSS announced in bytes.
    pub advmss: Option<u32>,
    /// Metric.
    pub priority: Option<u32>,
    /// Who made it.
    pub protocol: u8,
    /// The gateway is on the link whatever the addresses say.
    pub onlink: bool,
}

impl From<Route> for Carried {
    fn from(route: Route) -> Self {
        Self {
            dst: Prefix(route.dst),
            gw: route.gw,
            src: route.src,
            scope: route.scope,
            mtu: route.mtu,
            advmss: route.advmss,
            priority: route.priority,
            protocol: route.protocol,
            onlink: route.onlink,
        }
    }
}

impl From<&Carried> for Route {
    fn from(carried: &Carried) -> Self {
        Self {
            gw: carried.gw,
            src: carried.src,
            scope: carried.scope,
            mtu: carried.mtu,
            advmss: carried.advmss,
            priority: carried.priority,
            protocol: carried.protocol,
            onlink: carried.onlink,
            ..Self::to(carried.dst.0)
        }
    }
}

impl From<&Carried> for cni::Route {
    fn from(carried: &Carried) -> Self {
        // Without a scope, a route without a gateway would go through another one's.
        let scope = if carried.gw.is_none() { route::SCOPE_LINK } else { carried.scope };
        Self {
            dst: carried.dst.0,
            gw: carried.gw,
            mtu: carried.mtu,
            advmss: carried.advmss,
            priority: carried.priority,
            table: None,
            scope: (scope != route::SCOPE_GLOBAL).then_some(scope),
        }
    }
}

/// What was asked for, each `None` where the interface was to stay as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Asked {
    /// Its hardware address.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// It takes every multicast packet.
    pub all_multicast: Option<bool>,
    /// It takes every packet.
    pub promiscuous: Option<bool>,
    /// What the physical function was asked.
    pub vf: VfWanted,
}

/// The device of a [`file_name`](DeviceId::file_name), `None` when it is none.
pub fn parse_id(text: &str) -> Option<DeviceId> {
    let (bus, name) = text.split_once('-')?;
    let id = DeviceId::try_from(format!("{bus}:{name}")).ok()?;
    (id.file_name() == text).then_some(id)
}
