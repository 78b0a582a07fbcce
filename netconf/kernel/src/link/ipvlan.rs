//! Ipvlan devices: several hosts behind one hardware address, told apart by their addresses.

use std::fmt;

use netlink_packet_route::link::{InfoData, InfoIpVlan, InfoKind, IpVlanMode};

use super::New;
use crate::{Request, attributes};

/// What the parent does for its devices (`IPVLAN_MODE_*` of include/uapi/linux/if_link.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u16)]
pub enum IpvlanMode {
    /// It switches.
    #[default]
    L2 = 0,
    /// It routes, past the node's own netfilter.
    L3 = 1,
    /// It routes, through netfilter.
    L3s = 2,
}

impl IpvlanMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::L2, Self::L3, Self::L3s];

    /// The word that `ip link` has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        }
    }

    /// Reads a device's `IFLA_INFO_DATA`.
    pub(super) fn parse<'a>(mut data: impl Iterator<Item = (u16, &'a [u8])>) -> Option<Self> {
        /// `IFLA_IPVLAN_MODE`
        const MODE: u16 = 1;
        let (_, value) = data.find(|(kind, _)| *kind == MODE)?;
        let told = attributes::short(value)?;
        Self::ALL.into_iter().find(|mode| *mode as u16 == told)
    }
}

impl fmt::Display for IpvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Creates a device upon a parent, whose hardware address it shares. All devices of one parent
/// have one mode: a new one changes the others'. EBUSY when the parent has macvlan devices.
///
/// `ip link add NAME link PARENT netns NETNS [mtu MTU] type ipvlan mode MODE`
pub fn create(new: &New<'_>, mode: IpvlanMode) -> Request {
    let mode = match mode {
        IpvlanMode::L2 => IpVlanMode::L2,
        IpvlanMode::L3 => IpVlanMode::L3,
        IpvlanMode::L3s => IpVlanMode::L3S,
    };
    let data = InfoData::IpVlan(vec![InfoIpVlan::Mode(mode)]);
    new.request("create the ipvlan device", InfoKind::IpVlan, Some(data))
}
