//! The names of devices on their buses. Each is checked where it enters, so that none can lead a path
//! astray.

mod aux;
mod link;
mod pci;

use std::fmt;
use std::str::FromStr;

use cni::{Code, Error};
use serde::{Deserialize, Serialize};

use crate::attribute::quoted;

pub use aux::AuxName;
pub use link::LinkName;
pub use pci::PciAddress;

/// What a device is known by, whatever its network interface is called.
///
/// As JSON it is a text with a prefix: `pci:0000:01:10.0`, `aux:mlx5_core.sf.4`, `link:eth3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceId {
    /// A PCI function.
    Pci(PciAddress),
    /// A device of the auxiliary bus.
    Aux(AuxName),
    /// A link that is no device's of these buses: a veth's end, a USB adapter. By its name on the host.
    Link(LinkName),
}

impl FromStr for DeviceId {
    type Err = Error;

    /// As [`DeviceId::under`], with `device` as the key.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::under(DEVICE, text)
    }
}

/// The address, or the name.
impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => address.fmt(f),
            Self::Aux(name) => name.fmt(f),
            Self::Link(name) => name.fmt(f),
        }
    }
}

impl DeviceId {
    /// What a device plugin calls a device: a PCI address or a name of the auxiliary bus. Code 7, with the
    /// configuration's key.
    pub fn under(key: &str, text: &str) -> Result<Self, Error> {
        // No module and no kind of auxiliary device has a colon, and every PCI address has.
        if text.contains(':') {
            PciAddress::under(key, text).map(Self::Pci)
        } else if text.contains('.') {
            AuxName::under(key, text).map(Self::Aux)
        } else {
            Err(refused(
                key,
                text,
                "neither a PCI address nor the name of an auxiliary device",
                "write a PCI address, as 0000:01:10.0, or a name of /sys/bus/auxiliary/devices, as mlx5_core.sf.4",
            ))
        }
    }

    /// A file name that no other device has: `pci-0000:01:10.0`, `aux-mlx5_core.sf.4`, `link-eth3`.
    pub fn file_name(&self) -> String {
        format!("{}-{self}", self.bus())
    }

    /// The PCI address of a PCI function.
    pub fn pci(&self) -> Option<PciAddress> {
        match self {
            Self::Pci(address) => Some(*address),
            Self::Aux(_) | Self::Link(_) => None,
        }
    }

    fn bus(&self) -> &'static str {
        match self {
            Self::Pci(_) => "pci",
            Self::Aux(_) => "aux",
            Self::Link(_) => "link",
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = Error;

    /// With the prefix. Code 7.
    fn try_from(text: String) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("pci", address)) => address.parse().map(Self::Pci),
            Some(("aux", name)) => name.parse().map(Self::Aux),
            Some(("link", name)) => name.parse().map(Self::Link),
            _ => Err(refused(DEVICE, &text, "no device", "it begins with pci:, aux: or link:")),
        }
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        format!("{}:{id}", id.bus())
    }
}

/// The key of what is not of a configuration.
const DEVICE: &str = "device";

fn refused(key: &str, text: &str, why: &str, mend: &str) -> Error {
    Error::new(Code::CONFIG, format!("{key} {}: {why}", quoted(text))).details(mend)
}
