//! Bridges.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::InfoBridge;
use rtnetlink::LinkBridge;

use crate::Request;

/// Creates a bridge, up. EEXIST when the name is taken.
///
/// `ip link add NAME up [mtu MTU] type bridge [vlan_filtering 1]`
pub fn create(name: &str, mtu: Option<u32>, vlan_filtering: bool) -> Request {
    let mut link = LinkBridge::new(name).up();
    if let Some(mtu) = mtu {
        link = link.mtu(mtu);
    }
    if vlan_filtering {
        link = link.vlan_filtering(true);
    }
    Request::new(
        "create the bridge",
        name,
        NLM_F_CREATE | NLM_F_EXCL,
        RouteNetlinkMessage::NewLink(link.build()),
    )
}

/// Turns a bridge's VLAN filtering on or off.
///
/// `ip link set dev NAME type bridge vlan_filtering 1|0`
pub fn set_vlan_filtering(index: u32, name: &str, on: bool) -> Request {
    let link =
        LinkBridge::new(name).index(index).append_info_data(InfoBridge::VlanFiltering(on)).build();
    Request::new("set the VLAN filtering of", name, 0, RouteNetlinkMessage::NewLink(link))
}
