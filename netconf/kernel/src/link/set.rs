//! Changing a link.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::attribute;
use crate::message::kind;
use crate::{MacAddr, Request};

/// Sets it up.
///
/// `ip link set dev NAME up`
pub fn set_up(index: u32, name: &str) -> Request {
    request("set up the link", name, &link(index).up().build())
}

/// Sets it up, with the sysctl `net.ipv4.conf.NAME.arp_notify` on: the kernel tells its neighbours
/// of a new hardware address. One request instead of two system calls on a file that the kernel has
/// to make first.
///
/// `sysctl -w net.ipv4.conf.NAME.arp_notify=1; ip link set dev NAME up`
pub fn set_up_notifying(index: u32, name: &str) -> Request {
    let message = link(index).up().append_extra_attribute(arp_notify()).build();
    request("set up the link", name, &message)
}

/// `IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { IPV4_DEVCONF_ARP_NOTIFY: 1 } } }`, as
/// net/ipv4/devinet.c `inet_set_link_af` reads it.
fn arp_notify() -> LinkAttribute {
    const IFLA_INET_CONF: u16 = 1;
    const IPV4_DEVCONF_ARP_NOTIFY: u16 = 22;
    let switch = nest(IPV4_DEVCONF_ARP_NOTIFY, &1_u32.to_ne_bytes());
    family_specific(libc::AF_INET, &nest(IFLA_INET_CONF, &switch))
}

/// `IFLA_AF_SPEC { FAMILY { ... } }`
fn family_specific(family: libc::c_int, value: &[u8]) -> LinkAttribute {
    let family = u16::try_from(family).unwrap_or_default();
    LinkAttribute::Other(DefaultNla::new(attribute::FAMILY_SPECIFIC, nest(family, value)))
}

/// An attribute, padded as the next one needs it.
pub(super) fn nest(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Takes it away from its master: a bridge, a bond, a VRF.
///
/// `ip link set dev NAME nomaster`
pub fn clear_master(index: u32, name: &str) -> Request {
    request("take from its master the link", name, &link(index).nocontroller().build())
}

/// Sets it down.
///
/// `ip link set dev NAME down`
pub fn set_down(index: u32, name: &str) -> Request {
    request("set down the link", name, &link(index).down().build())
}

/// Sets its Ethernet address. A bridge keeps an address that was set, whatever ports it gets.
///
/// `ip link set dev NAME address MAC`
pub fn set_mac(index: u32, name: &str, mac: MacAddr) -> Request {
    request("set the hardware address of", name, &link(index).address(mac.0.to_vec()).build())
}

/// Sets its MTU in bytes. EINVAL when the device cannot have it.
///
/// `ip link set dev NAME mtu MTU`
pub fn set_mtu(index: u32, name: &str, mtu: u32) -> Request {
    request("set the MTU of", name, &link(index).mtu(mtu).build())
}

/// Keeps the kernel from making a link-local address when it comes up. The link is found by its
/// name, so that the request can follow the one that creates it. EAFNOSUPPORT where the kernel has
/// no IPv6.
///
/// `ip link set dev NAME addrgenmode none`
pub fn disable_address_generation(name: &str) -> Request {
    let mode = nest(attribute::ADDRESS_GENERATION, &[attribute::NO_ADDRESS_GENERATION]);
    let message = LinkUnspec::new_with_name(name)
        .append_extra_attribute(family_specific(libc::AF_INET6, &mode))
        .build();
    request("keep link-local addresses off", name, &message)
}

/// Makes it promiscuous or not.
///
/// `ip link set dev NAME promisc on|off`
pub fn set_promiscuous(index: u32, name: &str, on: bool) -> Request {
    request("set the promiscuous mode of", name, &link(index).promiscuous(on).build())
}

/// Makes it take every multicast packet or not.
///
/// `ip link set dev NAME allmulticast on|off`
pub fn set_all_multicast(index: u32, name: &str, on: bool) -> Request {
    request("set the all-multicast mode of", name, &link(index).allmulticast(on).build())
}

/// Renames it. EEXIST when the name, as a name or as an alternative one, is taken; EBUSY while it is
/// up, before 6.2.
///
/// `ip link set dev NAME name NEW`
pub fn set_name(index: u32, name: &str, new: &str) -> Request {
    let on = format!("{name}, to {new}");
    Request::new("rename the link", on, 0, kind::SET_LINK, &link(index).name(new).build())
}

/// Takes its alias away.
///
/// `ip link set dev NAME alias ""`
pub fn clear_alias(index: u32, name: &str) -> Request {
    // The empty attribute is the kernel's word for it; one with a NUL would be an alias of one byte.
    let nothing = LinkAttribute::Other(DefaultNla::new(attribute::ALIAS, Vec::new()));
    request("clear the alias of", name, &link(index).append_extra_attribute(nothing).build())
}

/// Names its purpose; at most 255 bytes. The link is found by its name, so that the request can
/// follow the one that creates it without waiting for an index.
///
/// `ip link set dev NAME alias TEXT`
pub fn set_alias(name: &str, alias: &str) -> Request {
    let message = LinkUnspec::new_with_name(name).alias(alias).build();
    request("set the alias of", name, &message)
}

fn link(index: u32) -> LinkMessageBuilder<LinkUnspec> {
    LinkUnspec::new_with_index(index)
}

fn request(op: &'static str, name: &str, message: &LinkMessage) -> Request {
    Request::new(op, name, 0, kind::SET_LINK, message)
}
