//! The options of a bridge attachment.

use cni::{Cidr, Code, Error, IfName, NetConf};
use kernel::MacAddr;
use kernel::link::PortOptions;
use serde::Deserialize;

use super::vlans::{PortVlans, RawTrunk, VlanGateway};
use crate::config::{self, Masquerade, RawArgs, RawDns, RawMac, RawMasquerade};

/// The options as they are written.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    bridge: String,
    is_gateway: bool,
    is_default_gateway: bool,
    force_address: bool,
    ip_masq: bool,
    ip_masq_backend: Option<String>,
    #[serde(rename = "nonMasqueradeCIDRs")]
    non_masquerade_cidrs: Vec<Cidr>,
    exempt_network_nodes: bool,
    mtu: i64,
    hairpin_mode: bool,
    promisc_mode: bool,
    vlan: i64,
    vlan_trunk: Vec<RawTrunk>,
    preserve_default_vlan: bool,
    macspoofchk: bool,
    enabledad: bool,
    disable_container_interface: bool,
    port_isolation: bool,
    dns: RawDns,
    args: RawArgs,
    runtime_config: RawMac,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            bridge: "cni0".to_owned(),
            is_gateway: false,
            is_default_gateway: false,
            force_address: false,
            ip_masq: false,
            ip_masq_backend: None,
            non_masquerade_cidrs: Vec::new(),
            exempt_network_nodes: false,
            mtu: 0,
            hairpin_mode: false,
            promisc_mode: false,
            vlan: 0,
            vlan_trunk: Vec::new(),
            preserve_default_vlan: false,
            macspoofchk: false,
            enabledad: false,
            disable_container_interface: false,
            port_isolation: false,
            dns: RawDns::default(),
            args: RawArgs::default(),
            runtime_config: RawMac::default(),
        }
    }
}

/// The options, checked. README.md of the plugin describes each.
#[derive(Debug)]
pub struct Config {
    /// The bridge's name.
    pub bridge: IfName,
    /// The bridge, or its leg in the VLAN, holds the gateway addresses.
    pub gateway: bool,
    /// That leg.
    pub vlan_gateway: Option<VlanGateway>,
    /// The container gets a default route.
    pub default_route: bool,
    /// Another address of the bridge gives way.
    pub force_address: bool,
    /// What leaves the node for elsewhere bears the node's address.
    pub masquerade: Option<Masquerade>,
    /// The MTU of a new bridge and of the veth.
    pub mtu: Option<u32>,
    /// Hairpin and isolation of the port.
    pub port: PortOptions,
    /// The bridge is promiscuous.
    pub promiscuous: bool,
    /// The VLANs of the port, when it is to have any of its own.
    pub vlans: Option<PortVlans>,
    /// Frames with another source address than the container's are dropped.
    pub spoof_check: bool,
    /// Duplicate address detection for the container's IPv6 addresses.
    pub detect_duplicates: bool,
    /// The container's interface stays down.
    pub container_down: bool,
    /// Replaces the resolver that IPAM gave.
    pub dns: RawDns,
    /// The container's hardware address.
    pub mac: Option<MacAddr>,
}

impl Config {
    /// Reads and checks the options. `mac` is what `CNI_ARGS` asks for.
    pub fn parse(conf: &NetConf, mac: Option<&str>) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        if raw.hairpin_mode && raw.promisc_mode {
            return Err(Error::new(
                Code::CONFIG,
                "hairpinMode true and promiscMode true: a promiscuous bridge cannot have hairpin ports",
            )
            .details("set one of them to false"));
        }
        let masquerade = RawMasquerade {
            wanted: raw.ip_masq,
            backend: raw.ip_masq_backend.as_deref(),
            exempt: &raw.non_masquerade_cidrs,
            network_exempt: raw.exempt_network_nodes,
        };
        let masquerade = masquerade.parse()?;
        let mtu = config::mtu(raw.mtu)?;
        let vlans = PortVlans::parse(raw.vlan, &raw.vlan_trunk, raw.preserve_default_vlan)?;
        // An empty name is what Go's decoder leaves when the key is there without a value.
        let bridge = if raw.bridge.is_empty() { "cni0" } else { &raw.bridge };
        let bridge = config::link_name("bridge", bridge)?;
        let gateway = raw.is_gateway || raw.is_default_gateway;
        let vlan = vlans.as_ref().filter(|_| gateway).and_then(PortVlans::gateway_vlan);
        let vlan_gateway = vlan.map(|vlan| VlanGateway::of(&bridge, vlan, mtu)).transpose()?;
        Ok(Self {
            bridge,
            gateway,
            vlan_gateway,
            default_route: raw.is_default_gateway,
            force_address: raw.force_address,
            masquerade,
            mtu,
            port: PortOptions { hairpin: raw.hairpin_mode, isolated: raw.port_isolation },
            promiscuous: raw.promisc_mode,
            vlans,
            spoof_check: raw.macspoofchk,
            detect_duplicates: raw.enabledad,
            container_down: raw.disable_container_interface,
            dns: raw.dns,
            mac: config::mac(&raw.runtime_config, &raw.args, mac)?,
        })
    }
}
