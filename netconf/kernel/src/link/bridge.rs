//! Bridges.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::InfoBridge;
use rtnetlink::LinkBridge;

use crate::message::kind;
use crate::{MacAddr, Request};

/// Creates a bridge, up. EEXIST when the name is taken. With an address given at its creation, it
/// does not take on the lowest address of its ports as they come and go.
///
/// `ip link add NAME up address MAC [mtu MTU] type bridge [vlan_filtering 1]`
pub fn create(name: &str, mac: MacAddr, mtu: Option<u32>, vlan_filtering: bool) -> Request {
    let mut link = LinkBridge::new(name).up().address(mac.0.to_vec());
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
        kind::NEW_LINK,
        &link.build(),
    )
}

/// Turns a bridge's VLAN filtering on or off.
///
/// `ip link set dev NAME type bridge vlan_filtering 1|0`
pub fn set_vlan_filtering(index: u32, name: &str, on: bool) -> Request {
    let link =
        LinkBridge::new(name).index(index).append_info_data(InfoBridge::VlanFiltering(on)).build();
    Request::new("set the VLAN filtering of", name, 0, kind::NEW_LINK, &link)
}
