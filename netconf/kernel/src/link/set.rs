//! Changing a link.

use netlink_packet_route::link::LinkMessage;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use crate::message::kind;
use crate::{MacAddr, Request};

/// Sets it up.
///
/// `ip link set dev NAME up`
pub fn set_up(index: u32, name: &str) -> Request {
    request("set up the link", name, &link(index).up().build())
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

/// Makes it promiscuous or not.
///
/// `ip link set dev NAME promisc on|off`
pub fn set_promiscuous(index: u32, name: &str, on: bool) -> Request {
    request("set the promiscuous mode of", name, &link(index).promiscuous(on).build())
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
