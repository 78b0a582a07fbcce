//! What the kernel lacks of a plan, and what it has too much: a pure function of both.

use cni::NetworkName;
use kernel::address::Address;
use kernel::fdb::Entry;
use kernel::link::Link;
use kernel::neighbour::Neighbour;
use kernel::route::Installed;

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

/// The changes that lead from `have` to `plan`, in the order in which no packet takes a way that is
/// half made: routes that nothing replaces go first, then addresses, neighbours and FDB entries
/// come, then routes, and at the end goes what only the old routes needed.
///
/// `domain` bounds what may be removed under our protocol number outside of our own devices: the
/// cluster's networks, now and when the network was last reconciled. A route to elsewhere is
/// another network's, which may use the same number.
pub fn difference(
    plan: &Plan,
    have: &Have,
    options: &Options,
    domain: &[ipnetwork::IpNetwork],
) -> Vec<Change> {
    todo!()
}

/// The alias of a tunnel device that is ours: `podwire:NETWORK`, shortened to what an alias may
/// hold.
pub fn alias(network: &NetworkName) -> String {
    todo!()
}
