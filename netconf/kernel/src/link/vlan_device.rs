//! VLAN devices: the frames of one 802.1Q VLAN on a parent.

use netlink_packet_route::link::{InfoData, InfoKind, InfoVlan};

use super::New;
use crate::{Request, attributes};

/// `IFLA_VLAN_ID`
const ID: u16 = 1;

/// Creates a device for a VLAN (0 to 4094) of its parent. EEXIST, with the kernel's words, when
/// the parent has one for it already, in whatever namespace.
///
/// `ip link add NAME link PARENT netns NETNS [address MAC] [mtu MTU] type vlan id ID`
pub fn create(new: &New<'_>, id: u16) -> Request {
    let data = InfoData::Vlan(vec![InfoVlan::Id(id)]);
    new.request("create the VLAN device", InfoKind::Vlan, Some(data))
}

/// The VLAN in a device's `IFLA_INFO_DATA`.
pub(super) fn parse<'a>(mut data: impl Iterator<Item = (u16, &'a [u8])>) -> Option<u16> {
    data.find(|(kind, _)| *kind == ID).and_then(|(_, value)| attributes::short(value))
}
