//! Addresses as numbers, and as text in the forms that the reference plugins take.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::Error;
use ipnetwork::IpNetwork;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// How many bits an address has.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The family's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The address that has this number; numbers beyond the family's last address are the last.
    pub fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }
}

/// The address as a number.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// `text` as an address. IPv4 in IPv6's clothes (`::ffff:10.0.0.1`) is IPv4, as Go has it.
pub fn parse(key: &str, text: &str) -> Result<IpAddr, Error> {
    text.parse::<IpAddr>()
        .map(|address| address.to_canonical())
        .map_err(|_| Error::config(key, format!("{text:?}"), "not an IP address"))
}

/// `text` as an address; empty and missing text is none.
pub fn parse_optional(key: &str, text: Option<&str>) -> Result<Option<IpAddr>, Error> {
    text.filter(|text| !text.is_empty()).map(|text| parse(key, text)).transpose()
}

/// `text` as an address whose prefix length may be missing and is ignored.
pub fn parse_with_or_without_prefix(key: &str, text: &str) -> Result<IpAddr, Error> {
    if text.contains('/') { Ok(parse_cidr(key, text)?.ip()) } else { parse(key, text) }
}

/// `text` as an address with a prefix length; host bits are kept.
pub fn parse_cidr(key: &str, text: &str) -> Result<IpNetwork, Error> {
    let bad = |why: &str| Error::config(key, format!("{text:?}"), why);
    let (address, prefix) = text.split_once('/').ok_or_else(|| {
        bad("the prefix length is missing").details("write it as 10.1.2.3/24 or fd00::3/64")
    })?;
    let address: IpAddr =
        address.parse().map_err(|_| bad("not an IP address with a prefix length"))?;
    if address.to_canonical() != address {
        return Err(bad("an IPv4 address written as IPv6").details("write it as IPv4"));
    }
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix = prefix.parse::<u8>().ok().filter(|_| digits);
    prefix.and_then(|prefix| IpNetwork::new(address, prefix).ok()).ok_or_else(|| {
        let family = Family::of(address);
        bad(&format!("an {} prefix length is 0 to {}", family.name(), family.bits()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_forms_of_addresses_are_taken() {
        assert_eq!(parse("k", "::ffff:10.0.0.1").unwrap(), IpAddr::from([10, 0, 0, 1]));
        assert_eq!(parse_optional("k", Some("")).unwrap(), None);
        assert_eq!(parse_optional("k", None).unwrap(), None);
        assert_eq!(
            parse_with_or_without_prefix("k", "10.0.0.1/9").unwrap().to_string(),
            "10.0.0.1"
        );
        assert_eq!(parse_cidr("k", "10.1.2.3/24").unwrap().to_string(), "10.1.2.3/24");
    }

    #[test]
    fn what_is_no_cidr_is_refused_with_key_and_value() {
        for text in [
            "",
            "10.0.0.1",
            "10.0.0.1/33",
            "10.0.0.1/+8",
            "10.0.0.1/",
            "/8",
            "::ffff:10.0.0.1/120",
            "fd00::/129",
            "10.0.0.0/255.0.0.0",
            "010.0.0.1/8",
            "10.0.0.0/8/8",
        ] {
            let error = parse_cidr("ipam.subnet", text).unwrap_err();
            assert_eq!(error.code, cni::Code::CONFIG);
            assert!(error.msg.contains("ipam.subnet") && error.msg.contains(text), "{error}");
        }
    }

    #[test]
    fn numbers_and_addresses_are_the_same_thing() {
        for text in ["0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "fd00::1:2"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(Family::of(address).address(number(address)), address);
        }
    }
}
