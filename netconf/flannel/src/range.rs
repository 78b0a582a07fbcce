//! The subnets of one family that nodes can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::Error;
use ipnetwork::IpNetwork;

/// How many free subnets are looked at, as flannel does.
const CHOICE: usize = 100;

/// Equal parts of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// What all pods' addresses of the family are in.
    pub network: IpNetwork,
    first: u128,
    last: u128,
    length: u8,
}

/// How a network is to be divided, as it was written: zero and nothing stand for the default.
pub(crate) struct Division<'d> {
    pub(crate) length: (&'d str, u8),
    pub(crate) first: (&'d str, Option<IpAddr>),
    pub(crate) last: (&'d str, Option<IpAddr>),
}

impl Range {
    /// Divides a network by flannel's rules: a subnet for at least four nodes each, of /24 (IPv6: /64)
    /// where there is room, not the first one, whose first address is the network's own. Code 7.
    pub(crate) fn new(
        key: &str,
        network: IpNetwork,
        division: &Division<'_>,
    ) -> Result<Self, Error> {
        let (usual, longest, width) = if network.is_ipv6() { (64, 126, 128) } else { (24, 30, 32) };
        let least = network.prefix().saturating_add(2);
        if least > longest {
            return Err(Error::config(key, network, "has no room for four subnets"));
        }
        let length = match division.length {
            (_, 0) => usual.max(least),
            (_, given) if (least..=longest).contains(&given) => given,
            (key, given) => {
                let why = format!("must be {least} to {longest}");
                return Err(Error::config(key, given, &why));
            }
        };
        let size = 1_u128.checked_shl(width - u32::from(length)).unwrap_or_default();
        let bound = |(key, given): (&str, Option<IpAddr>), default: u128| match given {
            None => Ok(default),
            Some(ip) if !network.contains(ip) => {
                Err(Error::config(key, ip, &format!("is not in {network}")))
            }
            Some(ip) if !bits(ip).is_multiple_of(size) => {
                Err(Error::config(key, ip, &format!("does not begin a /{length}")))
            }
            Some(ip) => Ok(bits(ip)),
        };
        let first = bound(division.first, bits(network.network()) + size)?;
        let last = bound(division.last, bits(network.broadcast()) - (size - 1))?;
        Ok(Self { network, first, last, length })
    }

    /// True for a subnet that a node can have.
    pub fn has(&self, subnet: IpNetwork) -> bool {
        subnet.is_ipv6() == self.network.is_ipv6()
            && subnet.prefix() == self.length
            && (self.first..=self.last).contains(&bits(subnet.network()))
    }

    /// The first hundred of those that overlap none of the `taken`.
    pub fn free(&self, taken: &[IpNetwork]) -> Vec<IpNetwork> {
        let ipv6 = self.network.is_ipv6();
        let mut taken: Vec<(u128, u128)> = taken
            .iter()
            .filter(|net| net.is_ipv6() == ipv6)
            .map(|net| (bits(net.network()), bits(net.broadcast())))
            .collect();
        taken.sort_unstable();
        let mut taken = taken.into_iter().peekable();
        let width: u32 = if ipv6 { 128 } else { 32 };
        let size = 1_u128.checked_shl(width - u32::from(self.length)).unwrap_or(1);
        let mut free = Vec::new();
        let mut at = self.first;
        while at <= self.last && free.len() < CHOICE {
            while taken.next_if(|(_, last)| *last < at).is_some() {}
            match taken.peek() {
                // Sorted by their first addresses, so a later one does not reach further back.
                Some((first, last)) if *first < at.saturating_add(size) => {
                    let behind = last.saturating_add(1).div_ceil(size).saturating_mul(size);
                    at = behind.max(at.saturating_add(size));
                }
                _ => {
                    free.extend(self.subnet(at));
                    at = at.saturating_add(size);
                }
            }
        }
        free
    }

    fn subnet(&self, at: u128) -> Option<IpNetwork> {
        let ip: IpAddr = if self.network.is_ipv6() {
            Ipv6Addr::from_bits(at).into()
        } else {
            Ipv4Addr::from_bits(u32::try_from(at).ok()?).into()
        };
        IpNetwork::new(ip, self.length).ok()
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
