//! Which subnet a node takes.

use std::hash::{BuildHasher as _, RandomState};

use cni::{Code, Error};
use flannel::{Network, Subnet};
use ipnetwork::IpNetwork;

use super::found::Found;
use super::memory::subnet;

/// The one that is wanted, or else any that is free. Code 102 where there is none.
pub fn choose(
    network: &Network,
    taken: &[IpNetwork],
    wanted: Option<Subnet>,
) -> Result<Subnet, Error> {
    match wanted.filter(|s| fits(network, s) && is_free(s, taken)) {
        Some(subnet) => Ok(subnet),
        None => random(network, taken),
    }
}

/// Any that is free.
fn random(network: &Network, taken: &[IpNetwork]) -> Result<Subnet, Error> {
    let pick = |range: &flannel::Range| {
        let free = range.free(taken);
        // The hasher's keys are random.
        let noise =
            usize::try_from(RandomState::new().hash_one(free.len()) >> 33).unwrap_or_default();
        let at = noise.checked_rem(free.len()).unwrap_or_default();
        free.get(at).copied().ok_or_else(|| {
            Error::new(Code::EXHAUSTED, format!("{}: all its subnets are leased", range.network))
        })
    };
    let mut networks = vec![pick(&network.v4)?];
    if let Some(range) = &network.v6 {
        networks.push(pick(range)?);
    }
    subnet(&networks).ok_or_else(|| Error::new(Code::INTERNAL, "a subnet of no family"))
}

/// The network has such a subnet for a node.
pub fn fits(network: &Network, subnet: &Subnet) -> bool {
    network.v4.has(subnet.v4.into())
        && match (network.v6, subnet.v6) {
            (Some(range), Some(v6)) => range.has(v6.into()),
            (None, None) => true,
            _ => false,
        }
}

/// Pods of these addresses are pods of the network, whether or not it is divided so.
pub fn is_within(network: &Network, subnet: &Subnet) -> bool {
    let within = |net: IpNetwork| {
        network.all().any(|all| all.prefix() <= net.prefix() && all.contains(net.network()))
    };
    subnet.networks().all(within)
}

/// What is leased, but for the lease that is given back.
pub fn taken(found: &[Found], but: Option<&Found>) -> Vec<IpNetwork> {
    let others = found.iter().filter(|f| but.is_none_or(|but| but.key != f.key));
    others.flat_map(|f| f.subnet.networks()).collect()
}

/// Nobody has any part of it.
pub fn is_free(subnet: &Subnet, taken: &[IpNetwork]) -> bool {
    !subnet.networks().any(|net| taken.iter().any(|other| overlaps(net, *other)))
}

fn overlaps(a: IpNetwork, b: IpNetwork) -> bool {
    a.contains(b.network()) || b.contains(a.network())
}
