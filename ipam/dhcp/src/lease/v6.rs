//! A lease of DHCPv6 (RFC 8415).

use std::fmt;
use std::net::Ipv6Addr;

use cni::{AddResult, Dns, IpConfig};
use ipnetwork::{IpNetwork, Ipv6Network};
use serde::{Deserialize, Serialize};

/// A time that never comes (RFC 8415, section 7.7).
pub const NEVER: u32 = u32::MAX;

/// What a server granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The address.
    pub address: Ipv6Addr,
    /// Resolvers.
    pub name_servers: Vec<Ipv6Addr>,
    /// Domains to search.
    pub search: Vec<String>,
    /// Who granted it: its DUID.
    pub server: Vec<u8>,
    /// Its times.
    pub times: Times,
}

/// When what is due, in seconds after the grant. [`NEVER`] is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The server is asked to renew (T1).
    pub renewal: u32,
    /// Any server is asked (T2).
    pub rebinding: u32,
    /// The address must not be used any more.
    pub end: u32,
}

impl Lease {
    /// The address alone: DHCPv6 tells nothing of the link's prefix, which routers do (RFC 5942,
    /// section 4).
    pub fn cidr(&self) -> IpNetwork {
        IpNetwork::V6(Ipv6Network::from(self.address))
    }

    /// What the attachment gets, as CNI says it. Gateways and routes are the routers' to tell, too.
    pub fn result(&self) -> AddResult {
        AddResult {
            interfaces: Vec::new(),
            ips: vec![IpConfig { interface: None, address: self.cidr(), gateway: None }],
            routes: Vec::new(),
            dns: Dns {
                nameservers: self.name_servers.iter().map(ToString::to_string).collect(),
                domain: String::new(),
                search: self.search.clone(),
                options: Vec::new(),
            },
        }
    }
}

impl Times {
    /// The times of an address with these lifetimes, in an association with these T1 and T2. Where
    /// those are left to the client (0), or do not fit the lifetimes, they are half and four fifths of
    /// the preferred one (RFC 8415, sections 14.2 and 21.4). `None` when the server contradicts
    /// itself: then the association, or the address, is to be taken for absent (sections 21.4, 21.6).
    pub fn of(t1: u32, t2: u32, preferred: u32, valid: u32) -> Option<Self> {
        if valid == 0 || preferred > valid || (t1 > t2 && t2 > 0) {
            return None;
        }
        let whole = if preferred == 0 { valid } else { preferred };
        let part = |tenths: u32| match whole {
            NEVER => NEVER,
            seconds => (seconds / 10)
                .saturating_mul(tenths)
                .saturating_add((seconds % 10).saturating_mul(tenths) / 10),
        };
        let rebinding = if t2 > 0 && t2 <= valid { t2 } else { part(8) };
        let fits = t1 > 0 && (t1 < valid || valid == NEVER);
        let renewal = if fits { t1 } else { part(5) }.min(rebinding);
        Some(Self { renewal: renewal.max(1), rebinding: rebinding.max(1), end: valid })
    }
}

/// A DUID as it is written: pairs of hexadecimal digits.
pub struct Duid<'a>(pub &'a [u8]);

impl fmt::Display for Duid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if n == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_servers_where_they_make_sense() {
        let of = |t1, t2, preferred, valid| {
            Times::of(t1, t2, preferred, valid).map(|t| (t.renewal, t.rebinding, t.end))
        };
        for (given, times) in [
            ((10, 20, 100, 200), Some((10, 20, 200))),
            ((0, 0, 100, 200), Some((50, 80, 200))),
            ((0, 0, 0, 200), Some((100, 160, 200))),
            ((0, 20, 100, 200), Some((20, 20, 200))),
            ((10, 0, 100, 200), Some((10, 80, 200))),
            ((10, 300, 100, 200), Some((10, 80, 200))),
            ((300, 300, 100, 200), Some((50, 80, 200))),
            ((0, 0, NEVER, NEVER), Some((NEVER, NEVER, NEVER))),
            ((0, 0, 4_000_000_000, NEVER), Some((2_000_000_000, 3_200_000_000, NEVER))),
            ((0, 0, 1, 1), Some((1, 1, 1))),
            // What contradicts itself is as good as not said.
            ((30, 20, 100, 200), None),
            ((0, 0, 300, 200), None),
            ((0, 0, 0, 0), None),
        ] {
            let (t1, t2, preferred, valid) = given;
            assert_eq!(of(t1, t2, preferred, valid), times, "{given:?}");
        }
    }
}
