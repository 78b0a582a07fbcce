//! The names of devices on their buses. Each is checked where it enters, so that none can lead a path
//! astray.

use std::fmt;
use std::str::FromStr;

use cni::Error;

/// A PCI address: domain, bus, device, function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// The name of a device of the auxiliary bus, as `mlx5_core.sf.4`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuxName(String);

/// What a device is known by, whatever its network interface is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// A PCI function.
    Pci(PciAddress),
    /// A device of the auxiliary bus.
    Aux(AuxName),
    /// A link that is no device's of these buses: a veth's end, a USB adapter. By its name on the host.
    Link(String),
}

impl FromStr for PciAddress {
    type Err = Error;

    /// `DDDD:BB:DD.F` in hexadecimal digits of any case, with four to eight digits of the domain.
    /// Code 7.
    fn from_str(text: &str) -> Result<Self, Error> {
        let _ = text;
        Err(Error::new(cni::Code::CONFIG, "to be written"))
    }
}

/// As sysfs writes it: lower case, four digits of the domain where they are enough.
impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

impl FromStr for DeviceId {
    type Err = Error;

    /// What a device plugin calls a device: a PCI address or a name of the auxiliary bus. Code 7.
    fn from_str(text: &str) -> Result<Self, Error> {
        let _ = text;
        Err(Error::new(cni::Code::CONFIG, "to be written"))
    }
}

/// The address, or the name.
impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => address.fmt(f),
            Self::Aux(name) => f.write_str(&name.0),
            Self::Link(name) => f.write_str(name),
        }
    }
}

impl DeviceId {
    /// A file name that no other device has: `pci-0000:01:10.0`, `aux-mlx5_core.sf.4`, `link-eth3`.
    pub fn file_name(&self) -> String {
        let kind = match self {
            Self::Pci(_) => "pci",
            Self::Aux(_) => "aux",
            Self::Link(_) => "link",
        };
        format!("{kind}-{self}")
    }
}
