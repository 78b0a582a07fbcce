//! A lease: what a server granted, and what it means for the container.

use std::fmt;

use cni::AddResult;
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

pub mod v4;
pub mod v6;

/// What a lease is of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// DHCP (RFC 2131).
    #[default]
    Ipv4,
    /// DHCPv6 (RFC 8415).
    Ipv6,
}

impl Family {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// True for what goes without saying.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The name of its protocol.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Ipv4 => "DHCP",
            Self::Ipv6 => "DHCPv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// What a server granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lease {
    /// Of an IPv4 address.
    V4(v4::Lease),
    /// Of an IPv6 address, which no reader takes for the other: it is its first field.
    V6(v6::Lease),
}

impl Lease {
    /// What it is of.
    pub fn family(&self) -> Family {
        match self {
            Self::V4(_) => Family::Ipv4,
            Self::V6(_) => Family::Ipv6,
        }
    }

    /// The address with its prefix length.
    pub fn cidr(&self) -> IpNetwork {
        match self {
            Self::V4(lease) => lease.cidr(),
            Self::V6(lease) => lease.cidr(),
        }
    }

    /// What the attachment gets, as CNI says it.
    pub fn result(&self, priority: u32) -> AddResult {
        match self {
            Self::V4(lease) => lease.result(priority),
            Self::V6(lease) => lease.result(),
        }
    }

    /// True when the container has to be told nothing new: the grant differs in its times alone, or
    /// in what only an ADD can tell.
    pub fn configures_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::V4(one), Self::V4(other)) => one.configures_as(other),
            (Self::V6(one), Self::V6(other)) => one.address == other.address,
            _ => false,
        }
    }
}

/// Address, server and time.
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self {
            Self::V4(lease) => {
                write!(f, "{} from {} ", lease.cidr(), lease.server)?;
                lease.times.map(|times| times.end)
            }
            Self::V6(lease) => {
                write!(f, "{} from {} ", lease.cidr(), v6::Duid(&lease.server))?;
                Some(lease.times.end).filter(|end| *end != v6::NEVER)
            }
        };
        match end {
            Some(seconds) => write!(f, "for {seconds} s"),
            None => f.write_str("for ever"),
        }
    }
}
