//! Dummy devices: they take every packet and lead nowhere.

use netlink_packet_route::link::InfoKind;

use super::New;
use crate::Request;

/// Creates one.
///
/// `ip link add NAME netns NETNS [address MAC] [mtu MTU] type dummy`
pub fn create(new: &New<'_>) -> Request {
    new.request("create the dummy device", InfoKind::Dummy, None)
}
