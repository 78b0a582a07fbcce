//! VXLAN devices.

use std::net::IpAddr;

use crate::{MacAddr, Request};

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
    todo!()
}

/// Changes what can be changed of a device that exists: underlay, local address (of the same
/// family), learning. The identifier and the port stay.
///
/// `ip link set NAME type vxlan id VNI dev UNDERLAY local IP nolearning`
pub fn change(index: u32, name: &str, device: &Vxlan) -> Request {
    todo!()
}
