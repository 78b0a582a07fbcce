//! The names that a link has beside its own.

use netlink_packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use super::attribute;
use super::set::nest;
use crate::Request;
use crate::message::kind;

/// Adds one. EEXIST when a link of the namespace has it as a name or as an alternative one.
///
/// `ip link property add dev NAME altname OTHER`
pub fn add(index: u32, name: &str, other: &str) -> Request {
    Request::new(
        "add an alternative name to the link",
        format_args!("{name}, {other}"),
        NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND,
        kind::NEW_LINK_PROPERTY,
        &message(index, other),
    )
}

/// Takes one away. EINVAL when the link does not have it.
///
/// `ip link property del dev NAME altname OTHER`
pub fn delete(index: u32, name: &str, other: &str) -> Request {
    Request::new(
        "take an alternative name from the link",
        format_args!("{name}, {other}"),
        0,
        kind::DELETE_LINK_PROPERTY,
        &message(index, other),
    )
}

fn message(index: u32, other: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let text = [other.as_bytes(), &[0]].concat();
    let list = nest(attribute::ALTERNATIVE_NAME, &text);
    message
        .attributes
        .push(LinkAttribute::Other(DefaultNla::new(attribute::PROPERTIES | NESTED, list)));
    message
}

/// `NLA_F_NESTED`, which the kernel insists on here (net/core/rtnetlink.c, `rtnl_linkprop`).
const NESTED: u16 = 1 << 15;
