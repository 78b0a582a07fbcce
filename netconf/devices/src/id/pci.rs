//! PCI addresses.

use std::fmt;
use std::str::FromStr;

use cni::Error;
use serde::{Deserialize, Serialize};

use super::{DEVICE, refused};

/// A PCI address: domain, bus, device, function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

/// Above these a device and a function do not fit their bits (include/uapi/linux/pci.h, PCI_SLOT,
/// PCI_FUNC).
const LAST_DEVICE: u8 = 0x1f;
const LAST_FUNCTION: u8 = 7;

impl PciAddress {
    /// The domain, which is a root of its own; 0 on most machines.
    pub fn domain(self) -> u32 {
        self.domain
    }

    /// The bus.
    pub fn bus(self) -> u8 {
        self.bus
    }

    /// `DDDD:BB:DD.F` in hexadecimal digits of any case, with four to eight digits of the domain.
    /// Code 7, with the configuration's key.
    pub fn under(key: &str, text: &str) -> Result<Self, Error> {
        Self::parse(text).ok_or_else(|| {
            // What `lspci` prints on machines with a single domain.
            let mend = match Self::parse(&format!("0000:{text}")) {
                Some(address) => format!("write the domain, too: {address}"),
                None => "write DOMAIN:BUS:DEVICE.FUNCTION in hexadecimal digits, as 0000:01:10.0"
                    .to_owned(),
            };
            refused(key, text, "not a PCI address", &mend)
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (domain, rest) = text.split_once(':')?;
        let (bus, rest) = rest.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        let address = Self {
            domain: hexadecimal(domain, 4..=8)?,
            bus: hexadecimal(bus, 2..=2)?.try_into().ok()?,
            device: hexadecimal(device, 2..=2)?.try_into().ok()?,
            function: hexadecimal(function, 1..=1)?.try_into().ok()?,
        };
        (address.device <= LAST_DEVICE && address.function <= LAST_FUNCTION).then_some(address)
    }
}

/// Digits alone: `from_str_radix` would take a sign, too.
fn hexadecimal(digits: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let plain = length.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

impl FromStr for PciAddress {
    type Err = Error;

    /// As [`PciAddress::under`], with `device` as the key.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::under(DEVICE, text)
    }
}

/// As sysfs writes it: lower case, four digits of the domain where they are enough.
impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

impl TryFrom<String> for PciAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PciAddress> for String {
    fn from(address: PciAddress) -> Self {
        address.to_string()
    }
}
