//! Looking a link up.

use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};

use super::Link;
use crate::message::{Object, kind};
use crate::{Request, Result, Socket};

/// The link of a name, `None` when there is none.
///
/// `ip -d link show dev NAME`
pub fn get(socket: &Socket, name: &str) -> Result<Option<Link>> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    read(socket.get(request(name, message)))
}

/// The link of an index, `None` when there is none.
pub fn get_by_index(socket: &Socket, index: u32) -> Result<Option<Link>> {
    read(socket.get(request_by_index(index)))
}

/// What asks for the link of an index.
pub fn request_by_index(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    request(&format!("of index {index}"), message)
}

/// What such a request was answered.
pub fn read(answer: Result<Vec<Object>>) -> Result<Option<Link>> {
    match answer {
        Ok(answer) => Ok(answer.iter().find_map(link)),
        Err(e) if e.is_gone() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Every link of the namespace. Not for the ADD path.
///
/// `ip -d link show`
pub fn list(socket: &Socket) -> Result<Vec<Link>> {
    let message = without_statistics(LinkMessage::default());
    let answer = socket.dump("list the links of", "the namespace", kind::GET_LINK, &message)?;
    Ok(answer.iter().filter_map(link).collect())
}

fn request(on: &str, message: LinkMessage) -> Request {
    Request::new("look up the link", on, 0, kind::GET_LINK, &without_statistics(message))
}

fn without_statistics(mut message: LinkMessage) -> LinkMessage {
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    message
}

fn link(object: &Object) -> Option<Link> {
    (object.kind == kind::NEW_LINK).then(|| Link::parse(&object.payload)).flatten()
}
