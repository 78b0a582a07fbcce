//! Ranges of addresses: what a config may say, and what it means.

mod list;
mod set;

use std::fmt;
use std::net::IpAddr;

use cni::Error;
use ipnetwork::IpNetwork;
use serde::Deserialize;

pub use list::{Ranges, Sources, one_address_per_family};
pub use set::{RangeSet, Span};

use crate::address::{Family, number, parse_cidr, parse_optional};

/// A range as the config has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RangeConf {
    /// The subnet, without host bits.
    pub subnet: Option<String>,
    /// The first address given; by default the one after the network's.
    pub range_start: Option<String>,
    /// The last address given; by default the one before the broadcast address, or IPv6's last.
    pub range_end: Option<String>,
    /// The gateway, which is never given; by default the one after the network's.
    pub gateway: Option<String>,
}

/// A range that addresses can be given from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNetwork,
    start: IpAddr,
    end: IpAddr,
    gateway: IpAddr,
}

impl Range {
    /// The range that `conf`, found at `key`, describes. Code 7.
    pub fn new(conf: &RangeConf, key: &str) -> Result<Self, Error> {
        let subnet_key = format!("{key}.subnet");
        let text = conf.subnet.as_deref().unwrap_or_default();
        if text.is_empty() {
            return Err(Error::config(&subnet_key, "\"\"", "a range needs a subnet"));
        }
        let subnet = parse_cidr(&subnet_key, text)?;
        let family = Family::of(subnet.ip());
        if subnet.ip() != subnet.network() {
            return Err(Error::config(&subnet_key, subnet, "the subnet has host bits set")
                .details(format!("write {}/{}", subnet.network(), subnet.prefix())));
        }
        let longest = family.bits() - 2;
        if subnet.prefix() > longest {
            return Err(Error::config(&subnet_key, subnet, "too small to give addresses from")
                .details(format!("the longest {} prefix is /{longest}", family.name())));
        }

        let first = family.address(number(subnet.network()).saturating_add(1));
        let broadcast = number(subnet.broadcast());
        let last = match family {
            Family::V4 => family.address(broadcast.saturating_sub(1)),
            Family::V6 => family.address(broadcast),
        };
        let inside = |name: &str, text: Option<&str>| -> Result<Option<IpAddr>, Error> {
            let key = format!("{key}.{name}");
            let Some(address) = parse_optional(&key, text)? else { return Ok(None) };
            same_family(&key, address, subnet)?;
            if !subnet.contains(address) {
                return Err(Error::config(&key, address, &format!("outside of subnet {subnet}"))
                    .details(format!(
                        "{} to {} are inside",
                        subnet.network(),
                        subnet.broadcast()
                    )));
            }
            Ok(Some(address))
        };
        let start = inside("rangeStart", conf.range_start.as_deref())?.unwrap_or(first);
        let end = inside("rangeEnd", conf.range_end.as_deref())?.unwrap_or(last);
        if start > end {
            let (name, value) = match conf.range_end {
                Some(_) => ("rangeEnd", end),
                None => ("rangeStart", start),
            };
            return Err(Error::config(
                &format!("{key}.{name}"),
                value,
                &format!("the range would begin at {start} and end before it, at {end}"),
            ));
        }
        // The reference takes gateways outside of the subnet, and on-link gateways such as
        // 169.254.1.1 live from that. Of another family it could never be reached.
        let gateway_key = format!("{key}.gateway");
        let gateway = parse_optional(&gateway_key, conf.gateway.as_deref())?.unwrap_or(first);
        same_family(&gateway_key, gateway, subnet)?;
        Ok(Self { subnet, start, end, gateway })
    }

    /// The subnet.
    pub fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// The first address of the range.
    pub fn start(&self) -> IpAddr {
        self.start
    }

    /// The last address of the range.
    pub fn end(&self) -> IpAddr {
        self.end
    }

    /// The gateway.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// True when `address` lies between start and end, both included.
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && self.start <= address && address <= self.end
    }

    pub(crate) fn family(&self) -> Family {
        Family::of(self.start)
    }
}

/// `10.1.0.10-10.1.0.20`, as the reference writes ranges.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

fn same_family(key: &str, address: IpAddr, subnet: IpNetwork) -> Result<(), Error> {
    if address.is_ipv4() == subnet.is_ipv4() {
        return Ok(());
    }
    Err(Error::config(key, address, &format!("not of the family of subnet {subnet}")))
}

#[cfg(test)]
mod tests;
