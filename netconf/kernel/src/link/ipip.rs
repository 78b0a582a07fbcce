//! IPIP devices.

use std::net::Ipv4Addr;

use crate::Request;

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
    todo!()
}

/// Changes a device that exists.
///
/// `ip link set NAME type ipip local IP ...`
pub fn change(index: u32, name: &str, device: &Ipip) -> Request {
    todo!()
}
