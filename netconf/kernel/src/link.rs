//! Links: what the kernel knows of one, and the requests that change one. A file per operation.

mod altname;
mod announce;
mod bridge;
mod delete;
mod get;
mod ipip;
mod port;
mod relocate;
mod set;
mod veth;
mod vf;
mod vlan;
mod vxlan;
mod wait;

pub use altname::{add as add_altname, delete as delete_altname};
pub use announce::announce;
pub use bridge::{create as create_bridge, set_vlan_filtering};
pub use delete::{delete, delete_by_name};
pub use get::{get, get_by_index, list};
pub(crate) use get::{read, request_by_index};
pub use ipip::{Ipip, change as change_ipip, create as create_ipip};
pub use port::{PortOptions, set_port};
pub use relocate::relocate;
pub use set::{
    clear_alias, clear_master, disable_address_generation, set_alias, set_all_multicast, set_down,
    set_mac, set_mtu, set_name, set_promiscuous, set_up, set_up_notifying,
};
pub use veth::{Veth, create as create_veth};
pub use vf::{
    Vf, VfLinkState, VfRate, VfSetting, VfVlan, VlanProtocol, list as list_vfs, set as set_vf,
};
pub use vlan::{Vlan, add as add_vlan, delete as delete_vlan, list as list_vlans};
pub use vxlan::{Vxlan, change as change_vxlan, create as create_vxlan};
pub use wait::wait_until_up;

use crate::{MacAddr, attributes};

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
    /// Told to take every multicast packet (`IFF_ALLMULTI`).
    pub all_multicast: bool,
    /// The address that its device was made with (`IFLA_PERM_ADDRESS`); VFs often have none.
    pub permanent_mac: Option<MacAddr>,
    /// Its names beside [`name`](Self::name) (`altname`).
    pub alternative_names: Vec<String>,
    /// The device that it is the network interface of, as its bus calls it: a PCI address
    /// (`IFLA_PARENT_DEV_NAME`, since 5.14). A namespace's users cannot change it.
    pub parent_device: Option<String>,
    /// The index of the bridge or other master that it is a port of.
    pub master: Option<u32>,
    /// The index of its peer or parent, in that one's namespace (`IFLA_LINK`).
    pub peer: Option<u32>,
    /// That peer or parent is in another namespace (`IFLA_LINK_NETNSID`).
    pub peer_is_elsewhere: bool,
    /// A bridge's `vlan_filtering`.
    pub vlan_filtering: bool,
    /// A bridge's `vlan_default_pvid`: the VLAN that every new port gets; 0 for none.
    pub default_pvid: u16,
    /// A bridge port's `hairpin`.
    pub hairpin: bool,
    /// A bridge port's `isolated`.
    pub isolated: bool,
    /// The kernel makes no link-local address for it (`addrgenmode none`).
    pub no_address_generation: bool,
    /// A VXLAN device's attributes.
    pub vxlan: Option<Vxlan>,
    /// An IPIP device's attributes.
    pub ipip: Option<Ipip>,
}

/// The attributes read here (`IFLA_*` of include/uapi/linux/if_link.h).
mod attribute {
    pub const ADDRESS: u16 = 1;
    pub const NAME: u16 = 3;
    pub const MTU: u16 = 4;
    pub const LINK: u16 = 5;
    pub const MASTER: u16 = 10;
    pub const OPERATIONAL_STATE: u16 = 16;
    pub const INFO: u16 = 18;
    pub const ALIAS: u16 = 20;
    pub const FAMILY_SPECIFIC: u16 = 26;
    pub const LINK_NAMESPACE: u16 = 37;
    pub const PROPERTIES: u16 = 52;
    pub const ALTERNATIVE_NAME: u16 = 53;
    pub const PERMANENT_ADDRESS: u16 = 54;
    pub const PARENT_DEVICE: u16 = 56;
    /// Inside `FAMILY_SPECIFIC`'s `AF_INET6` (`IFLA_INET6_*`).
    pub const ADDRESS_GENERATION: u16 = 8;
    /// `IN6_ADDR_GEN_MODE_NONE`.
    pub const NO_ADDRESS_GENERATION: u8 = 1;
    /// Inside `INFO`.
    pub const INFO_KIND: u16 = 1;
    pub const INFO_DATA: u16 = 2;
    pub const INFO_PORT_KIND: u16 = 4;
    pub const INFO_PORT_DATA: u16 = 5;
    /// Inside a bridge's `INFO_DATA` (`IFLA_BR_*`).
    pub const VLAN_FILTERING: u16 = 7;
    pub const VLAN_DEFAULT_PVID: u16 = 39;
    /// Inside a bridge port's `INFO_PORT_DATA` (`IFLA_BRPORT_*`).
    pub const HAIRPIN: u16 = 4;
    pub const ISOLATED: u16 = 33;
}

/// `IFF_UP`, `IFF_PROMISC` and `IFF_ALLMULTI`.
const UP: u32 = 0x1;
const PROMISCUOUS: u32 = 0x100;
const ALL_MULTICAST: u32 = 0x200;
/// `IF_OPER_UNKNOWN` and `IF_OPER_UP`.
const CAN_CARRY: [u8; 2] = [0, 6];

/// The index and the attributes of a link message: behind `struct ifinfomsg` (family, type, index,
/// flags, change mask).
fn split(message: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (head, attributes) = message.split_at_checked(16)?;
    let word = |at: usize| attributes::number(head.get(at..at + 4)?);
    Some((word(4)?, word(8)?, attributes))
}

/// The index and the name in a link message.
pub(crate) fn named(message: &[u8]) -> Option<(u32, String)> {
    let (index, _, all) = split(message)?;
    let name = attributes::of(all).find(|(kind, _)| *kind == attribute::NAME);
    Some((index, attributes::text(name?.1)))
}

impl Link {
    /// True when it is made upon the link of an index in its own namespace, as a VLAN or a macvlan is. A
    /// veth says the index of its other end where others say that.
    pub fn is_upon(&self, index: u32) -> bool {
        self.peer == Some(index)
            && !self.peer_is_elsewhere
            && self.index != index
            && self.kind != "veth"
    }

    fn parse(message: &[u8]) -> Option<Self> {
        let (index, flags, all) = split(message)?;
        let mut link = Self {
            index,
            up: flags & UP != 0,
            promiscuous: flags & PROMISCUOUS != 0,
            all_multicast: flags & ALL_MULTICAST != 0,
            ..Self::default()
        };
        for (kind, value) in attributes::of(all) {
            match kind {
                attribute::NAME => link.name = attributes::text(value),
                attribute::ALIAS => link.alias = Some(attributes::text(value)),
                attribute::ADDRESS => link.mac = value.try_into().ok().map(MacAddr),
                attribute::MTU => link.mtu = attributes::number(value)?,
                attribute::MASTER => link.master = attributes::number(value),
                attribute::LINK => link.peer = attributes::number(value),
                attribute::LINK_NAMESPACE => link.peer_is_elsewhere = true,
                attribute::OPERATIONAL_STATE => {
                    link.running = value.first().is_some_and(|state| CAN_CARRY.contains(state));
                }
                attribute::INFO => link.parse_info(value),
                attribute::PERMANENT_ADDRESS => {
                    link.permanent_mac = value.try_into().ok().map(MacAddr);
                }
                attribute::PROPERTIES => {
                    let names = attributes::of(value)
                        .filter(|(kind, _)| *kind == attribute::ALTERNATIVE_NAME);
                    link.alternative_names.extend(names.map(|(_, name)| attributes::text(name)));
                }
                attribute::PARENT_DEVICE => link.parent_device = Some(attributes::text(value)),
                attribute::FAMILY_SPECIFIC => {
                    link.no_address_generation = makes_no_addresses(value);
                }
                _ => {}
            }
        }
        Some(link)
    }

    fn parse_info(&mut self, info: &[u8]) {
        let find = |wanted: u16| attributes::of(info).find(|(kind, _)| *kind == wanted);
        let text = |wanted: u16| find(wanted).map(|(_, value)| attributes::text(value));
        let nested = |wanted: u16| attributes::of(find(wanted).map_or(&[], |(_, value)| value));
        self.kind = text(attribute::INFO_KIND).unwrap_or_default();
        match self.kind.as_str() {
            "bridge" => {
                for (kind, value) in nested(attribute::INFO_DATA) {
                    match kind {
                        attribute::VLAN_FILTERING => {
                            self.vlan_filtering = attributes::switch(value);
                        }
                        attribute::VLAN_DEFAULT_PVID => {
                            self.default_pvid = attributes::short(value).unwrap_or_default();
                        }
                        _ => {}
                    }
                }
            }
            "vxlan" => self.vxlan = Some(Vxlan::parse(nested(attribute::INFO_DATA))),
            "ipip" => self.ipip = Some(Ipip::parse(nested(attribute::INFO_DATA))),
            _ => {}
        }
        if text(attribute::INFO_PORT_KIND).as_deref() == Some("bridge") {
            for (kind, value) in nested(attribute::INFO_PORT_DATA) {
                match kind {
                    attribute::HAIRPIN => self.hairpin = attributes::switch(value),
                    attribute::ISOLATED => self.isolated = attributes::switch(value),
                    _ => {}
                }
            }
        }
    }
}

/// Whether `AF_INET6 { IFLA_INET6_ADDR_GEN_MODE: none }` stands in `IFLA_AF_SPEC`, or no `AF_INET6`:
/// then the kernel has no IPv6, or none on this link, as with an MTU below 1280.
fn makes_no_addresses(families: &[u8]) -> bool {
    let mut families = attributes::of(families);
    let six = families.find(|(family, _)| i32::from(*family) == libc::AF_INET6);
    let Some((_, six)) = six else { return true };
    attributes::of(six).any(|(kind, value)| {
        kind == attribute::ADDRESS_GENERATION && value == [attribute::NO_ADDRESS_GENERATION]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_messages_are_no_links_and_cause_no_panic() {
        assert_eq!(Link::parse(&[]), None);
        assert_eq!(Link::parse(&[0; 15]), None);
        let mut message = vec![0; 16];
        message.extend([255, 255, 3, 0, b'x']);
        assert_eq!(Link::parse(&message).unwrap().name, "");
        for end in 0..64_u8 {
            let mut message = vec![end; 16 + usize::from(end)];
            message.extend([8, 0, 18, 0, end, 0, 1, 0]);
            let _ = Link::parse(&message);
        }
    }
}
