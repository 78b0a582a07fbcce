//! Deleting a link.

use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use crate::Request;
use crate::message::kind;

/// Deletes a link; a veth's other end goes with it. ENODEV when it is gone.
///
/// `ip link del dev NAME`
pub fn delete(index: u32, name: &str) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    Request::new("delete the link", name, 0, kind::DELETE_LINK, &message)
}

/// Deletes a link by its name alone.
pub fn delete_by_name(name: &str) -> Request {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    Request::new("delete the link", name, 0, kind::DELETE_LINK, &message)
}
