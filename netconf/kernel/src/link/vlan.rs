//! VLANs of a bridge port.

use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{BridgeVlanInfoFlags, LinkAttribute, LinkExtentMask, LinkMessage};
use rtnetlink::LinkBridgeVlan;

use super::{attribute, split};
use crate::message::kind;
use crate::{Request, Result, Socket, attributes};

/// `IFLA_BRIDGE_VLAN_INFO` (include/uapi/linux/if_bridge.h).
const VLAN_INFO: u16 = 2;

/// A VLAN that a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vlan {
    /// Its id, 1 to 4094.
    pub id: u16,
    /// Untagged frames that come in belong to it.
    pub pvid: bool,
    /// Its frames leave without a tag.
    pub untagged: bool,
}

impl Vlan {
    /// An access VLAN: untagged both ways.
    pub fn access(id: u16) -> Self {
        Self { id, pvid: true, untagged: true }
    }

    /// A VLAN of a trunk: tagged both ways.
    pub fn tagged(id: u16) -> Self {
        Self { id, pvid: false, untagged: false }
    }

    /// Reads `struct bridge_vlan_info`: flags, then the id.
    fn read(value: &[u8]) -> Option<Self> {
        let (flags, id) = value.split_at_checked(2)?;
        let flags = BridgeVlanInfoFlags::from_bits_retain(attributes::short(flags)?);
        Some(Self {
            id: attributes::short(id)?,
            pvid: flags.contains(BridgeVlanInfoFlags::Pvid),
            untagged: flags.contains(BridgeVlanInfoFlags::Untagged),
        })
    }

    fn flags(self) -> BridgeVlanInfoFlags {
        let mut flags = BridgeVlanInfoFlags::empty();
        flags.set(BridgeVlanInfoFlags::Pvid, self.pvid);
        flags.set(BridgeVlanInfoFlags::Untagged, self.untagged);
        flags
    }
}

/// Adds a VLAN to a port.
///
/// `bridge vlan add dev NAME vid ID [pvid] [untagged]`
pub fn add(port: u32, name: &str, vlan: Vlan) -> Request {
    let message = LinkBridgeVlan::new(port).vlan(vlan.id, vlan.flags()).build();
    let on = format_args!("{} to {name}", vlan.id).to_string();
    Request::new("add VLAN", on, 0, kind::SET_LINK, &message)
}

/// Takes a VLAN from a port.
///
/// `bridge vlan del dev NAME vid ID`
pub fn delete(port: u32, name: &str, id: u16) -> Request {
    let message = LinkBridgeVlan::new(port).vlan(id, BridgeVlanInfoFlags::empty()).build();
    let on = format_args!("{id} from {name}").to_string();
    Request::new("remove VLAN", on, 0, kind::DELETE_LINK, &message)
}

/// The VLANs of a port, by id. The kernel answers no get for them, so it dumps the bridge ports.
///
/// `bridge vlan show dev NAME`
pub fn list(socket: &Socket, port: u32) -> Result<Vec<Vlan>> {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::Brvlan]));
    let answer = socket.dump("list the VLANs of port", port, kind::GET_LINK, &message)?;
    let mut vlans = Vec::new();
    for object in answer.iter().filter(|object| object.kind == kind::NEW_LINK) {
        let Some((index, _, all)) = split(&object.payload) else { continue };
        if index != port {
            continue;
        }
        for (_, spec) in attributes::of(all).filter(|(kind, _)| *kind == attribute::FAMILY_SPECIFIC)
        {
            let infos = attributes::of(spec).filter(|(kind, _)| *kind == VLAN_INFO);
            vlans.extend(infos.filter_map(|(_, value)| Vlan::read(value)));
        }
    }
    vlans.sort_unstable();
    Ok(vlans)
}
