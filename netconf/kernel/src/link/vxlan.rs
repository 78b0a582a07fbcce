//! VXLAN devices.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::InfoVxlan;
use rtnetlink::{LinkMessageBuilder, LinkVxlan};

use crate::message::kind;
use crate::{MacAddr, Request, attributes};

/// What a VXLAN device is (`IFLA_VXLAN_*` of include/uapi/linux/if_link.h).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vxlan {
    /// The network identifier, 1 to 2^24-1 (0 for an `external` device).
    pub vni: u32,
    /// The index of the underlay's interface (`dev`).
    pub underlay: Option<u32>,
    /// The source address of what is sent.
    pub local: Option<IpAddr>,
    /// Where frames for unknown destinations go (`remote`, `group`).
    pub group: Option<IpAddr>,
    /// The outer packets' time to live; 0 for the kernel's own.
    pub ttl: u8,
    /// The UDP port.
    pub port: u16,
    /// Learns source addresses.
    pub learning: bool,
    /// Carries a group policy tag in each packet.
    pub gbp: bool,
    /// Takes the identifier and the destination from routes (`external`).
    pub external: bool,
    /// Answers ARP itself (`proxy`).
    pub proxy: bool,
    /// Tells user space of unknown hardware addresses.
    pub l2miss: bool,
    /// Tells user space of unknown addresses.
    pub l3miss: bool,
    /// Checksums the outer UDP packet over IPv4.
    pub udp_checksum: bool,
}

/// Creates a device, down. EEXIST when the name is taken, or another device has the same identifier
/// and port. `learning` is sent in either case, the other switches where they are set;
/// `udp_checksum` is left to the kernel (on).
///
/// `ip link add NAME address MAC [mtu MTU] type vxlan id VNI dev UNDERLAY local IP dstport PORT nolearning`
pub fn create(name: &str, device: &Vxlan, mac: MacAddr, mtu: Option<u32>) -> Request {
    let mut link = LinkVxlan::new(name, device.vni).address(mac.0.to_vec());
    if let Some(mtu) = mtu {
        link = link.mtu(mtu);
    }
    let group = device.group.map(|group| match group {
        IpAddr::V4(ip) => InfoVxlan::Group(ip),
        IpAddr::V6(ip) => InfoVxlan::Group6(ip),
    });
    // A switch that is not set is not sent: kernels older than a switch would refuse it, and to
    // some its mere presence means on.
    let switches = [
        (device.gbp, InfoVxlan::Gbp),
        (device.external, InfoVxlan::CollectMetadata(true)),
        (device.proxy, InfoVxlan::Proxy(true)),
        (device.l2miss, InfoVxlan::L2Miss(true)),
        (device.l3miss, InfoVxlan::L3Miss(true)),
    ];
    let on = switches.into_iter().filter(|(set, _)| *set).map(|(_, info)| info);
    let all = changeable(device).chain(group).chain([InfoVxlan::Port(device.port)]).chain(on);
    let message = all.fold(link, LinkMessageBuilder::<LinkVxlan>::append_info_data).build();
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    Request::new("create the VXLAN device", name, flags, kind::NEW_LINK, &message)
}

/// Changes what can be changed of a device that exists: underlay, local address (of the same
/// family), time to live, learning. The identifier and the port stay.
///
/// `ip link set NAME type vxlan id VNI dev UNDERLAY local IP ttl TTL nolearning`
pub fn change(index: u32, name: &str, device: &Vxlan) -> Request {
    let link = LinkVxlan::new(name, device.vni).index(index);
    let message =
        changeable(device).fold(link, LinkMessageBuilder::<LinkVxlan>::append_info_data).build();
    Request::new("change the VXLAN device", name, 0, kind::NEW_LINK, &message)
}

fn changeable(device: &Vxlan) -> impl Iterator<Item = InfoVxlan> {
    let local = device.local.map(|local| match local {
        IpAddr::V4(ip) => InfoVxlan::Local(ip),
        IpAddr::V6(ip) => InfoVxlan::Local6(ip),
    });
    let learning = InfoVxlan::Learning(device.learning);
    let all = [InfoVxlan::Ttl(device.ttl), learning];
    device.underlay.map(InfoVxlan::Link).into_iter().chain(local).chain(all)
}

/// `IFLA_VXLAN_*`.
mod attribute {
    pub const ID: u16 = 1;
    pub const GROUP: u16 = 2;
    pub const LINK: u16 = 3;
    pub const LOCAL: u16 = 4;
    pub const TTL: u16 = 5;
    pub const LEARNING: u16 = 7;
    pub const PROXY: u16 = 11;
    pub const L2MISS: u16 = 13;
    pub const L3MISS: u16 = 14;
    pub const PORT: u16 = 15;
    pub const GROUP6: u16 = 16;
    pub const LOCAL6: u16 = 17;
    pub const UDP_CHECKSUM: u16 = 18;
    pub const GBP: u16 = 23;
    pub const COLLECT_METADATA: u16 = 25;
}

impl Vxlan {
    /// Reads a device's `IFLA_INFO_DATA`.
    pub(super) fn parse<'a>(data: impl Iterator<Item = (u16, &'a [u8])>) -> Self {
        let mut device = Self::default();
        for (kind, value) in data {
            match kind {
                attribute::ID => device.vni = attributes::number(value).unwrap_or_default(),
                attribute::LINK => device.underlay = attributes::number(value).filter(|n| *n != 0),
                attribute::LOCAL | attribute::LOCAL6 => device.local = attributes::ip(value),
                attribute::GROUP | attribute::GROUP6 => device.group = attributes::ip(value),
                attribute::TTL => device.ttl = value.first().copied().unwrap_or_default(),
                attribute::PORT => device.port = attributes::port(value).unwrap_or_default(),
                attribute::LEARNING => device.learning = attributes::switch(value),
                // Its presence is its value.
                attribute::GBP => device.gbp = true,
                attribute::COLLECT_METADATA => device.external = attributes::switch(value),
                attribute::PROXY => device.proxy = attributes::switch(value),
                attribute::L2MISS => device.l2miss = attributes::switch(value),
                attribute::L3MISS => device.l3miss = attributes::switch(value),
                attribute::UDP_CHECKSUM => device.udp_checksum = attributes::switch(value),
                _ => {}
            }
        }
        device
    }
}
