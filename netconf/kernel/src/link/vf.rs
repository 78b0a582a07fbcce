//! What a physical function decides about its virtual functions (SR-IOV): `IFLA_VFINFO_LIST` of
//! include/uapi/linux/if_link.h.

use std::fmt;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use serde::{Deserialize, Serialize};

use super::set::nest;
use crate::message::kind;
use crate::{MacAddr, Request, Result, Socket, attributes};

/// A virtual function as its physical function keeps it (`ip link show dev PF`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vf {
    /// Its number, from 0.
    pub index: u32,
    /// Its administrative address: the only one it may have. `None` while it may choose.
    pub mac: Option<MacAddr>,
    /// The VLAN that its packets are put into.
    pub vlan: VfVlan,
    /// Its transmit rates.
    pub rate: VfRate,
    /// Packets that bear another source address than its own are dropped.
    pub spoof_check: Option<bool>,
    /// It may change its address, be promiscuous and the like.
    pub trust: Option<bool>,
    /// The state of its link.
    pub link_state: Option<VfLinkState>,
    /// It may read the physical function's RSS configuration.
    pub query_rss: Option<bool>,
}

/// A port VLAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VfVlan {
    /// Its id, 0 for none.
    pub id: u16,
    /// The priority of its packets, 0 to 7.
    pub qos: u8,
    /// The kind of tag.
    pub protocol: VlanProtocol,
}

/// The kind of a VLAN tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VlanProtocol {
    /// 0x8100
    #[default]
    #[serde(rename = "802.1q")]
    Customer,
    /// 0x88a8
    #[serde(rename = "802.1ad")]
    Service,
}

/// Transmit rates in Mbit/s, 0 for no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VfRate {
    /// Guaranteed.
    pub min: u32,
    /// At most.
    pub max: u32,
}

/// A virtual function's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VfLinkState {
    /// Up while the physical function's is.
    Auto,
    /// Always up.
    Enable,
    /// Always down.
    Disable,
}

/// What can be set of a virtual function, each by a request of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VfSetting {
    /// `vlan ID qos QOS proto PROTOCOL`
    Vlan(VfVlan),
    /// `mac MAC`; `None` lets it choose again.
    Mac(Option<MacAddr>),
    /// `min_tx_rate MIN max_tx_rate MAX`
    Rate(VfRate),
    /// `spoofchk on|off`
    SpoofCheck(bool),
    /// `trust on|off`
    Trust(bool),
    /// `state auto|enable|disable`
    LinkState(VfLinkState),
    /// `query_rss on|off`
    QueryRss(bool),
}

/// The attributes in use (`IFLA_VF_*`).
mod of_vf {
    pub const LIST: u16 = 22;
    pub const INFO: u16 = 1;
    pub const MAC: u16 = 1;
    pub const VLAN: u16 = 2;
    pub const SPOOF_CHECK: u16 = 4;
    pub const LINK_STATE: u16 = 5;
    pub const RATE: u16 = 6;
    pub const QUERY_RSS: u16 = 7;
    pub const TRUST: u16 = 9;
    pub const VLAN_LIST: u16 = 12;
    pub const VLAN_INFO: u16 = 1;
}

/// `ETH_P_8021AD`
const SERVICE: u16 = 0x88a8;

/// The virtual functions of a physical function: an empty list for a link that has none or does not
/// tell, as paravirtual ones.
///
/// `ip link show dev PF`
pub fn list(socket: &Socket, index: u32, name: &str) -> Result<Vec<Vf>> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let wanted = vec![LinkExtentMask::Vf, LinkExtentMask::SkipStats];
    message.attributes.push(LinkAttribute::ExtMask(wanted));
    let request = Request::new("list the VFs of", name, 0, kind::GET_LINK, &message);
    let answer = socket.get(request)?;
    let link = answer.iter().find(|object| object.kind == kind::NEW_LINK);
    Ok(link.map(|link| read(&link.payload)).unwrap_or_default())
}

/// The virtual functions in a link message.
fn read(message: &[u8]) -> Vec<Vf> {
    let all = super::split(message).map_or(&[][..], |(_, _, all)| all);
    let lists = attributes::of(all).filter(|(kind, _)| *kind == of_vf::LIST);
    let infos = lists.flat_map(|(_, list)| attributes::of(list));
    infos.filter(|(kind, _)| *kind == of_vf::INFO).filter_map(|(_, info)| Vf::parse(info)).collect()
}

/// Sets one thing of a virtual function. The kernel and the driver refuse it in their own ways:
/// EINVAL for a number that does not exist or a value out of range, EOPNOTSUPP and EPROTONOSUPPORT
/// for what the hardware cannot do, EPERM without `CAP_NET_ADMIN` in the initial user namespace.
///
/// `ip link set dev PF vf N SETTING`
pub fn set(index: u32, pf: &str, vf: u32, setting: VfSetting) -> Request {
    let (op, kind_of, value) = setting.encode(vf);
    let mut message = LinkMessage::default();
    message.header.index = index;
    let info = nest(of_vf::INFO | NESTED, &nest(kind_of, &value));
    message.attributes.push(LinkAttribute::Other(DefaultNla::new(of_vf::LIST | NESTED, info)));
    Request::new(op, format_args!("{pf} vf {vf} ({setting})"), 0, kind::SET_LINK, &message)
}

/// `NLA_F_NESTED`
const NESTED: u16 = 1 << 15;

impl Vf {
    /// Each attribute is a structure that begins with the number (`struct ifla_vf_*`).
    fn parse(info: &[u8]) -> Option<Self> {
        let mut vf = Self::default();
        let mut known = false;
        for (kind, value) in attributes::of(info) {
            let word = |n: usize| attributes::number(value.get(4 * n..4 * n + 4)?);
            // The kernel says -1 for what the driver does not tell.
            let switch = || word(1).filter(|on| *on != u32::MAX).map(|on| on != 0);
            match kind {
                of_vf::MAC => {
                    vf.index = word(0)?;
                    known = true;
                    let mac = value.get(4..10).and_then(|mac| mac.try_into().ok()).map(MacAddr);
                    vf.mac = mac.filter(|mac| mac.0 != [0; 6]);
                }
                // The list says more, where there is one.
                of_vf::VLAN if vf.vlan == VfVlan::default() => vf.vlan = vlan(value)?,
                of_vf::VLAN_LIST => {
                    let first = attributes::of(value).find(|(kind, _)| *kind == of_vf::VLAN_INFO);
                    vf.vlan = first.and_then(|(_, value)| vlan(value)).unwrap_or(vf.vlan);
                }
                of_vf::RATE => vf.rate = VfRate { min: word(1)?, max: word(2)? },
                of_vf::SPOOF_CHECK => vf.spoof_check = switch(),
                of_vf::TRUST => vf.trust = switch(),
                of_vf::QUERY_RSS => vf.query_rss = switch(),
                of_vf::LINK_STATE => vf.link_state = word(1).and_then(VfLinkState::read),
                _ => {}
            }
        }
        known.then_some(vf)
    }
}

/// `struct ifla_vf_vlan`, or `struct ifla_vf_vlan_info`, which adds the protocol in network order.
fn vlan(value: &[u8]) -> Option<VfVlan> {
    let word = |n: usize| attributes::number(value.get(4 * n..4 * n + 4)?);
    let service = value.get(12..14).and_then(attributes::port) == Some(SERVICE);
    let protocol = if service { VlanProtocol::Service } else { VlanProtocol::Customer };
    Some(VfVlan { id: u16::try_from(word(1)?).ok()?, qos: u8::try_from(word(2)?).ok()?, protocol })
}

impl VfLinkState {
    /// `IFLA_VF_LINK_STATE_*`
    fn read(number: u32) -> Option<Self> {
        [Self::Auto, Self::Enable, Self::Disable].into_iter().find(|state| state.number() == number)
    }

    fn number(self) -> u32 {
        match self {
            Self::Auto => 0,
            Self::Enable => 1,
            Self::Disable => 2,
        }
    }
}

impl VfSetting {
    /// The words for it, the attribute and its value.
    fn encode(self, vf: u32) -> (&'static str, u16, Vec<u8>) {
        let words = |words: &[u32]| {
            std::iter::once(&vf)
                .chain(words)
                .flat_map(|word| word.to_ne_bytes())
                .collect::<Vec<u8>>()
        };
        match self {
            Self::Vlan(VfVlan { id, qos, protocol }) => {
                let numbers = words(&[id.into(), qos.into()]);
                // Some drivers know the older attribute alone, which means 802.1Q.
                if protocol == VlanProtocol::Customer {
                    return ("set the VLAN of", of_vf::VLAN, numbers);
                }
                let info = [&numbers[..], &SERVICE.to_be_bytes(), &[0, 0]].concat();
                ("set the VLAN of", of_vf::VLAN_LIST | NESTED, nest(of_vf::VLAN_INFO, &info))
            }
            Self::Mac(mac) => {
                // `struct ifla_vf_mac` has room for 32 bytes.
                let mut value = words(&[]);
                value.extend(mac.map_or([0; 6], |mac| mac.0));
                value.resize(36, 0);
                ("set the administrative address of", of_vf::MAC, value)
            }
            Self::Rate(VfRate { min, max }) => {
                ("set the transmit rates of", of_vf::RATE, words(&[min, max]))
            }
            Self::SpoofCheck(on) => {
                ("set the spoof check of", of_vf::SPOOF_CHECK, words(&[on.into()]))
            }
            Self::Trust(on) => ("set the trust of", of_vf::TRUST, words(&[on.into()])),
            Self::LinkState(state) => {
                ("set the link state of", of_vf::LINK_STATE, words(&[state.number()]))
            }
            Self::QueryRss(on) => ("set the RSS query of", of_vf::QUERY_RSS, words(&[on.into()])),
        }
    }
}

/// As `ip link set dev PF vf N` takes it.
impl fmt::Display for VfSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = |on: &bool| if *on { "on" } else { "off" };
        match self {
            Self::Vlan(VfVlan { id, qos, protocol }) => {
                write!(f, "vlan {id} qos {qos} proto {}", protocol.name())
            }
            Self::Mac(Some(mac)) => write!(f, "mac {mac}"),
            Self::Mac(None) => f.write_str("mac 00:00:00:00:00:00"),
            Self::Rate(VfRate { min, max }) => write!(f, "min_tx_rate {min} max_tx_rate {max}"),
            Self::SpoofCheck(on) => write!(f, "spoofchk {}", switch(on)),
            Self::Trust(on) => write!(f, "trust {}", switch(on)),
            Self::LinkState(state) => write!(f, "state {}", state.name()),
            Self::QueryRss(on) => write!(f, "query_rss {}", switch(on)),
        }
    }
}

impl VlanProtocol {
    /// As `ip` and CNI configurations write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customer => "802.1q",
            Self::Service => "802.1ad",
        }
    }
}

impl VfLinkState {
    /// As `ip` and CNI configurations write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}
