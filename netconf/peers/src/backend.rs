//! How packets get to other nodes, as the configuration says.

use cni::{IfName, NetworkName};

/// The metric of every route to a peer. Together with destination and table it is what the kernel
/// takes for a route's identity, so a replacement cannot hit somebody else's route.
pub const METRIC: u32 = 112;
/// The metric of the blackhole for the local pod CIDRs: anything else is better.
pub const BLACKHOLE_METRIC: u32 = 1 << 20;
/// The default of `protocol`: who made the routes (`RTPROT_*`). Not used by any routing daemon
/// that registered its number (include/uapi/linux/rtnetlink.h, iproute2's `rt_protos`).
pub const PROTOCOL: u8 = 112;
/// The device that the kernel's `ipip` module makes in every namespace (net/ipv4/ipip.c,
/// `ipip_init_net`).
pub const FALLBACK: &str = "tunl0";

/// What a node-to-node network is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The network.
    pub network: NetworkName,
    /// The way.
    pub backend: Backend,
    /// The pods' MTU in bytes, where it was given.
    pub mtu: Option<u32>,
    /// The protocol number of our routes.
    pub protocol: u8,
    /// The underlay's interface, where it was given.
    pub iface: Option<IfName>,
    /// Checksum offload of tunnel devices.
    pub offload: Offload,
}

/// The way to other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Routes with the peer as their gateway.
    HostGw,
    /// Ethernet frames in UDP.
    Vxlan(VxlanOptions),
    /// IPv4 in IPv4.
    Ipip(IpipOptions),
}

impl Backend {
    /// The plugin's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HostGw => "host-gw",
            Self::Vxlan(_) => "vxlan",
            Self::Ipip(_) => "ipip",
        }
    }

    /// What a tunnel of this family adds to each packet, in bytes.
    pub fn overhead(&self, ipv6: bool) -> u32 {
        match self {
            Self::HostGw => 0,
            // Ethernet (14), VXLAN (8), UDP (8) and IPv4 (20) or IPv6 (40).
            Self::Vxlan(_) if ipv6 => 70,
            Self::Vxlan(_) => 50,
            Self::Ipip(_) => 20,
        }
    }

    /// Adjacent peers are reached without a tunnel, the others through one.
    pub fn direct_routing(&self) -> bool {
        match self {
            Self::HostGw => false,
            Self::Vxlan(options) => options.direct_routing,
            Self::Ipip(options) => options.direct_routing,
        }
    }

    /// The tunnel device of a family.
    pub fn device(&self, ipv6: bool) -> Option<&IfName> {
        match self {
            Self::HostGw => None,
            Self::Vxlan(options) if ipv6 => Some(&options.device_v6),
            Self::Vxlan(options) => Some(&options.device),
            Self::Ipip(_) if ipv6 => None,
            Self::Ipip(options) => Some(&options.device),
        }
    }

    /// The tunnel device is the one that the kernel's module makes and that others may use too.
    pub fn is_fallback(&self) -> bool {
        matches!(self, Self::Ipip(options) if options.device.as_str() == FALLBACK)
    }
}

/// What is particular to VXLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VxlanOptions {
    /// The network identifier.
    pub vni: u32,
    /// The UDP port.
    pub port: u16,
    /// The device for IPv4.
    pub device: IfName,
    /// The device for IPv6, beside it.
    pub device_v6: IfName,
    /// Adjacent peers are reached without a tunnel.
    pub direct_routing: bool,
}

/// What is particular to IPIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpipOptions {
    /// The device; `tunl0` is the one that the kernel's module makes.
    pub device: IfName,
    /// Adjacent peers are reached without a tunnel.
    pub direct_routing: bool,
    /// A device of our own sets "don't fragment".
    pub path_mtu_discovery: bool,
}

/// `checksumOffload`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offload {
    /// Off where the kernel gets it wrong, untouched elsewhere.
    #[default]
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}
