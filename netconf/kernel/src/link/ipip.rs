//! IPIP devices.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{InfoData, InfoIpTunnel, InfoKind};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use crate::message::kind;
use crate::{Request, attributes};

/// What an IPIP device is (`IFLA_IPTUN_*` of include/uapi/linux/if_tunnel.h).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipip {
    /// The source address of what is sent; `None` for any, as `tunl0` has it.
    pub local: Option<Ipv4Addr>,
    /// The one other end; `None` when routes tell.
    pub remote: Option<Ipv4Addr>,
    /// The index of the underlay's interface (`dev`).
    pub underlay: Option<u32>,
    /// Sets "don't fragment" on what is sent and heeds the answers.
    pub path_mtu_discovery: bool,
    /// The time to live of what is sent; 0 copies the inner packet's.
    pub ttl: u8,
    /// Takes the destination from routes (`external`).
    pub external: bool,
}

/// Creates a device, down. EEXIST when the name is taken or another device has the same ends; where
/// the kernel's module was not loaded yet, it is now, and has made `tunl0`. EOPNOTSUPP when the
/// kernel has no IPIP.
///
/// `ip link add NAME [mtu MTU] type ipip [local IP] [remote any] [ttl N] [nopmtudisc]`
pub fn create(name: &str, device: &Ipip, mtu: Option<u32>) -> Request {
    let mut link = link(device).name(name.to_owned());
    if let Some(mtu) = mtu {
        link = link.mtu(mtu);
    }
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    Request::new("create the IPIP device", name, flags, kind::NEW_LINK, &link.build())
}

/// Changes a device that exists: all but whether it has a remote and whether it is external. EINVAL
/// for those (net/ipv4/ip_tunnel.c, `ip_tunnel_changelink`) and for `tunl0`, EEXIST where another
/// device has the same ends.
///
/// `ip link set NAME type ipip local IP ...`
pub fn change(index: u32, name: &str, device: &Ipip) -> Request {
    let message = link(device).index(index).build();
    Request::new("change the IPIP device", name, 0, kind::NEW_LINK, &message)
}

/// What is not told falls back to the kernel's own choice, for a device that exists too
/// (net/ipv4/ipip.c, `ipip_netlink_parms`); so all is told.
fn link(device: &Ipip) -> LinkMessageBuilder<LinkUnspec> {
    let mut data = vec![
        InfoIpTunnel::Local(device.local.unwrap_or(Ipv4Addr::UNSPECIFIED).into()),
        InfoIpTunnel::Remote(device.remote.unwrap_or(Ipv4Addr::UNSPECIFIED).into()),
        InfoIpTunnel::Ttl(device.ttl),
        InfoIpTunnel::PMtuDisc(device.path_mtu_discovery),
    ];
    data.extend(device.underlay.map(InfoIpTunnel::Link));
    data.extend(device.external.then_some(InfoIpTunnel::CollectMetadata));
    LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::IpIp)
        .set_info_data(InfoData::IpTunnel(data))
}

/// `IFLA_IPTUN_*`.
mod attribute {
    pub const LINK: u16 = 1;
    pub const LOCAL: u16 = 2;
    pub const REMOTE: u16 = 3;
    pub const TTL: u16 = 4;
    pub const PATH_MTU_DISCOVERY: u16 = 10;
    pub const COLLECT_METADATA: u16 = 19;
}

impl Ipip {
    /// Reads a device's `IFLA_INFO_DATA`.
    pub(super) fn parse<'a>(data: impl Iterator<Item = (u16, &'a [u8])>) -> Self {
        let address = |value: &[u8]| match attributes::ip(value) {
            Some(IpAddr::V4(ip)) if !ip.is_unspecified() => Some(ip),
            _ => None,
        };
        let mut device = Self::default();
        for (kind, value) in data {
            match kind {
                attribute::LOCAL => device.local = address(value),
                attribute::REMOTE => device.remote = address(value),
                attribute::LINK => device.underlay = attributes::number(value).filter(|n| *n != 0),
                attribute::TTL => device.ttl = value.first().copied().unwrap_or_default(),
                attribute::PATH_MTU_DISCOVERY => {
                    device.path_mtu_discovery = attributes::switch(value);
                }
                // Its presence is its value.
                attribute::COLLECT_METADATA => device.external = true,
                _ => {}
            }
        }
        device
    }
}
