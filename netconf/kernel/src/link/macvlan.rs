//! Macvlan devices: a parent's own kind of switch, by hardware addresses.

use std::fmt;

use netlink_packet_route::link::{InfoData, InfoKind, InfoMacVlan, MacVlanMode};

use super::New;
use crate::{Request, attributes};

/// Who may speak with whom (`MACVLAN_MODE_*` of include/uapi/linux/if_link.h). `source` is not for
/// containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum MacvlanMode {
    /// Devices of one parent do not reach each other.
    Private = 1,
    /// They do by way of the switch outside, if it sends back.
    Vepa = 2,
    /// They do directly.
    #[default]
    Bridge = 4,
    /// The one device of its parent, which shares its address.
    Passthru = 8,
}

impl MacvlanMode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bridge, Self::Private, Self::Vepa, Self::Passthru];

    /// The word that `ip link` has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Bridge => "bridge",
            Self::Passthru => "passthru",
        }
    }
}

impl fmt::Display for MacvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a macvlan device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Macvlan {
    /// Its mode; `None` when it is one of those that we do not make.
    pub mode: Option<MacvlanMode>,
    /// How many broadcast frames may wait for it (since 5.11); the kernel's choice (1000) when `None`.
    /// The parent takes the largest that one of its devices asks for.
    pub broadcast_queue: Option<u32>,
}

/// Creates a device upon a parent. EBUSY or EINVAL when the parent is no Ethernet device, is a
/// bridge's port or has a device in mode `passthru`.
///
/// `ip link add NAME link PARENT netns NETNS [address MAC] [mtu MTU] type macvlan mode MODE [bcqueuelen N]`
pub fn create(new: &New<'_>, device: Macvlan) -> Request {
    let mode = match device.mode.unwrap_or_default() {
        MacvlanMode::Private => MacVlanMode::Private,
        MacvlanMode::Vepa => MacVlanMode::Vepa,
        MacvlanMode::Bridge => MacVlanMode::Bridge,
        MacvlanMode::Passthru => MacVlanMode::Passthrough,
    };
    let mut data = vec![InfoMacVlan::Mode(mode)];
    data.extend(device.broadcast_queue.map(InfoMacVlan::BcQueueLen));
    new.request("create the macvlan device", InfoKind::MacVlan, Some(InfoData::MacVlan(data)))
}

/// `IFLA_MACVLAN_*`.
mod attribute {
    pub const MODE: u16 = 1;
    pub const BROADCAST_QUEUE: u16 = 7;
}

impl Macvlan {
    /// Reads a device's `IFLA_INFO_DATA`.
    pub(super) fn parse<'a>(data: impl Iterator<Item = (u16, &'a [u8])>) -> Self {
        let mut device = Self::default();
        for (kind, value) in data {
            match kind {
                attribute::MODE => {
                    let told = attributes::number(value);
                    device.mode =
                        MacvlanMode::ALL.into_iter().find(|mode| told == Some(*mode as u32));
                }
                attribute::BROADCAST_QUEUE => device.broadcast_queue = attributes::number(value),
                _ => {}
            }
        }
        device
    }
}
