//! What the kernel lacks of a plan, and what it has too much: a pure function of both.

mod contents;
mod routes;

use std::fmt::Write as _;

use cni::NetworkName;
use ipnetwork::IpNetwork;
use kernel::address::Address;
use kernel::fdb::Entry;
use kernel::link::Link;
use kernel::neighbour::Neighbour;
use kernel::route::Installed;

use sha2::{Digest, Sha256};

use crate::facts::Families;
use crate::{Change, Options, Plan};

/// What the kernel has, as far as it may be ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Have {
    /// The underlay's interface of each family.
    pub underlays: Families<Option<Link>>,
    /// The tunnel devices that exist by now and what they hold.
    pub tunnels: Families<Option<Tunnel>>,
    /// Routes in main under our protocol number, and those through tunnel devices that are ours
    /// alone (all but the fallback device), each once.
    pub routes: Vec<Installed>,
}

/// A tunnel device that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The device.
    pub link: Link,
    /// Its addresses of the family that it carries.
    pub addresses: Vec<Address>,
    /// Its permanent neighbour entries of that family.
    pub neighbours: Vec<Neighbour>,
    /// Its permanent FDB entries.
    pub fdb: Vec<Entry>,
}

impl Tunnel {
    /// One that holds nothing.
    pub(crate) fn to_come(link: Link) -> Self {
        Self { link, addresses: Vec::new(), neighbours: Vec::new(), fdb: Vec::new() }
    }
}

/// The changes that lead from `have` to `plan`, in the order in which no packet takes a way that is
/// half made: routes that nothing can replace go first, then addresses, FDB entries and neighbours
/// come, then routes, and at the end goes what only the old routes needed. Where a device or the
/// underlay does not exist there is nothing to be said of it, nor of routes through it.
///
/// `domain` bounds what may be removed under our protocol number outside of our own devices: the
/// cluster's networks, now and when the network was last reconciled. A route to elsewhere is
/// another network's, which may use the same number.
pub fn difference(
    plan: &Plan,
    have: &Have,
    options: &Options,
    domain: &[IpNetwork],
) -> Vec<Change> {
    let mut steps = Steps::default();
    for ipv6 in [false, true] {
        let Some(tunnel) = have.tunnels.get(ipv6) else { continue };
        let device = plan.devices.iter().find(|device| device.ipv6 == ipv6);
        if options.backend.is_fallback() {
            contents::of_shared(device, tunnel, domain, &mut steps);
        } else {
            contents::of_own(device, tunnel, &mut steps);
        }
    }
    routes::compare(plan, have, options, domain, &mut steps);
    steps.in_order()
}

/// The changes by the time at which they are safe.
#[derive(Default)]
struct Steps {
    /// Routes that nothing replaces, or nothing can (IPv6).
    lost: Vec<Change>,
    /// What routes need.
    needed: Vec<Change>,
    /// The routes.
    routes: Vec<Change>,
    /// Routes that have been replaced by others.
    replaced: Vec<Change>,
    /// What nobody needs any more.
    idle: Vec<Change>,
}

impl Steps {
    fn in_order(self) -> Vec<Change> {
        let Self { lost, needed, routes, replaced, idle } = self;
        [lost, needed, routes, replaced, idle].into_iter().flatten().collect()
    }
}

pub(crate) fn within_any(net: IpNetwork, domain: &[IpNetwork]) -> bool {
    domain.iter().any(|all| crate::fleet::within(net, *all))
}

/// The kernel's limit for an alias is 255 bytes (`IFALIASZ` less its NUL).
const LONGEST_ALIAS: usize = 255;

/// The alias of a tunnel device that is ours: `podwire:NETWORK`, shortened to what an alias may
/// hold. No attachment's host link has such a one: there a colon follows the network.
pub fn alias(network: &NetworkName) -> String {
    let plain = format!("podwire:{network}");
    if plain.len() <= LONGEST_ALIAS {
        return plain;
    }
    let digest = Sha256::digest(network.as_str().as_bytes());
    // No name begins with '#', so this is no other network's.
    digest.iter().take(16).fold("podwire:#".to_owned(), |mut alias, byte| {
        let _ = write!(alias, "{byte:02x}");
        alias
    })
}
