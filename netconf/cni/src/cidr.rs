//! Addresses as the protocol writes them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnetwork::IpNetwork;
use serde::de::{Deserialize, Deserializer, Error as _};

/// An address with its prefix length, host bits kept: `10.1.2.3/24`. Unlike [`IpNetwork`]'s own
/// parser this one insists on the prefix length, as Go's `net.ParseCIDR` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(pub IpNetwork);

impl FromStr for Cidr {
    type Err = NotCidr;

    fn from_str(text: &str) -> Result<Self, NotCidr> {
        let (address, length) = text.split_once('/').ok_or(NotCidr)?;
        let address: IpAddr = address.parse().map_err(|_| NotCidr)?;
        if !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotCidr); // u8 would take a sign
        }
        let length = length.parse().map_err(|_| NotCidr)?;
        IpNetwork::new(address, length).map(Self).map_err(|_| NotCidr)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The text is no address with a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCidr;

impl fmt::Display for NotCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an address with a prefix length, as in 10.1.2.3/24")
    }
}

impl std::error::Error for NotCidr {}

/// A [`Cidr`] for a field that holds an [`IpNetwork`]: `#[serde(deserialize_with = "cni::cidr")]`.
pub fn cidr<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNetwork, D::Error> {
    Cidr::deserialize(deserializer).map(|cidr| cidr.0)
}

/// An address without prefix length for a field that need not be set; Go takes the empty string
/// for no address: `#[serde(default, deserialize_with = "cni::optional_ip")]`.
pub fn optional_ip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| D::Error::custom("must be an address without a prefix length, as in 10.1.2.1"))
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    #[test]
    fn an_address_needs_its_prefix_length() {
        for good in ["10.1.2.3/24", "0.0.0.0/0", "fd00::1/64", "::/0", "10.0.0.1/32"] {
            assert_eq!(good.parse::<Cidr>().unwrap().to_string(), good);
        }
        let bad = "10.1.2.3;10.1.2.3/;10.1.2.3/33;10.1.2.3/+8;10.1.2.3/-1;10.1.2/8;/8;;fd00::1/129;fd00::1%eth0/64;10.1.2.3/255.255.255.0;10.1.2.3/8/8; 10.1.2.3/8;010.1.2.3/8";
        for bad in bad.split(';') {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}
