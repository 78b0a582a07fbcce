//! Links: what the kernel knows of one, and the requests that change one. A file per operation.

mod announce;
mod bridge;
mod delete;
mod get;
mod port;
mod set;
mod veth;
mod vlan;
mod wait;

use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage, State,
};

pub use announce::announce;
pub use bridge::{create as create_bridge, set_vlan_filtering};
pub use delete::{delete, delete_by_name};
pub use get::{get, get_by_index, list};
pub use port::{PortOptions, set_port};
pub use set::{set_alias, set_down, set_mac, set_promiscuous, set_up, set_up_notifying};
pub use veth::{Veth, create as create_veth};
pub use vlan::{Vlan, add as add_vlan, delete as delete_vlan, list as list_vlans};
pub use wait::wait_until_up;

use crate::MacAddr;

/// A link as the kernel describes it (`ip -d link show`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index, unique in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its alias.
    pub alias: Option<String>,
    /// Its kind: `veth`, `bridge`; empty for a physical one.
    pub kind: String,
    /// Its Ethernet address.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// Able to carry packets: operational state up or unknown.
    pub running: bool,
    /// Told to be promiscuous (`IFF_PROMISC`).
    pub promiscuous: bool,
    /// The index of the bridge or other master that it is a port of.
    pub master: Option<u32>,
    /// The index of its peer or parent, in that one's namespace (`IFLA_LINK`).
    pub peer: Option<u32>,
    /// A bridge's `vlan_filtering`.
    pub vlan_filtering: bool,
    /// A bridge's `vlan_default_pvid`: the VLAN that every new port gets; 0 for none.
    pub default_pvid: u16,
    /// A bridge port's `hairpin`.
    pub hairpin: bool,
    /// A bridge port's `isolated`.
    pub isolated: bool,
}

impl Link {
    fn parse(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            up: flags.contains(LinkFlags::Up),
            promiscuous: flags.contains(LinkFlags::Promisc),
            ..Self::default()
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
                LinkAttribute::Address(bytes) => {
                    link.mac = bytes.as_slice().try_into().ok().map(MacAddr);
                }
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Controller(index) => link.master = Some(*index),
                LinkAttribute::Link(index) => link.peer = Some(*index),
                LinkAttribute::OperState(state) => {
                    link.running = matches!(state, State::Up | State::Unknown);
                }
                LinkAttribute::LinkInfo(info) => info.iter().for_each(|i| link.parse_info(i)),
                _ => {}
            }
        }
        link
    }

    fn parse_info(&mut self, info: &LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.kind = kind_name(kind),
            LinkInfo::Data(InfoData::Bridge(options)) => {
                for option in options {
                    match option {
                        InfoBridge::VlanFiltering(on) => self.vlan_filtering = *on,
                        InfoBridge::VlanDefaultPvid(id) => self.default_pvid = *id,
                        _ => {}
                    }
                }
            }
            LinkInfo::PortData(InfoPortData::BridgePort(options)) => {
                for option in options {
                    match option {
                        InfoBridgePort::HairpinMode(on) => self.hairpin = *on,
                        InfoBridgePort::Isolated(on) => self.isolated = *on,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn kind_name(kind: &InfoKind) -> String {
    kind.to_string()
}
