//! What a tunnel device holds: addresses, neighbours, FDB entries.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use kernel::address::{Address, host};
use kernel::fdb::Entry;
use kernel::neighbour::Neighbour;

use super::{Steps, Tunnel, within_any};
use crate::{Change, Device};

/// A device of our own: it holds what is planned and nothing else. Without a plan for it, nothing.
pub fn of_own(device: Option<&Device>, tunnel: &Tunnel, steps: &mut Steps) {
    let link = &tunnel.link;
    // Link-local addresses are the kernel's.
    addresses(device, tunnel, |other| other.global, steps);

    let has = tunnel.fdb.iter().map(|entry| (entry.mac, entry.vtep));
    let (missing_entries, idle_entries) = compare(device.map(|device| &device.fdb), has);
    let has = tunnel.neighbours.iter().map(|one| (one.ip, one.mac));
    let (missing, idle) = compare(device.map(|device| &device.neighbours), has);

    let entry = |(mac, vtep)| Entry { mac, vtep };
    let neighbour = |(ip, mac)| Neighbour { ip, mac };
    let set_entry = |pair| Change::SetEntry(link.clone(), entry(pair));
    let set = |pair| Change::SetNeighbour(link.clone(), neighbour(pair));
    let remove = |pair| Change::RemoveNeighbour(link.clone(), neighbour(pair));
    let remove_entry = |pair| Change::RemoveEntry(link.clone(), entry(pair));
    // A neighbour whose hardware address leads nowhere would lose packets.
    steps.needed.extend(missing_entries.into_iter().map(set_entry));
    steps.needed.extend(missing.into_iter().map(set));
    steps.idle.extend(idle.into_iter().map(remove));
    steps.idle.extend(idle_entries.into_iter().map(remove_entry));
}

/// The kernel's own device, which others may use: of what it holds only our address is ours, and
/// one that we gave it for another pod network.
pub fn of_shared(
    device: Option<&Device>,
    tunnel: &Tunnel,
    domain: &[IpNetwork],
    steps: &mut Steps,
) {
    let ours = |other: &Address| {
        other.address == host(other.address.ip()) && within_any(other.address, domain)
    };
    addresses(device, tunnel, ours, steps);
}

/// Adds the planned address and removes those others that `obsolete` names.
fn addresses(
    device: Option<&Device>,
    tunnel: &Tunnel,
    obsolete: impl Fn(&Address) -> bool,
    steps: &mut Steps,
) {
    let planned = device.map(|device| device.address);
    let missing = planned.filter(|planned| tunnel.addresses.iter().all(|a| a.address != *planned));
    let others = tunnel.addresses.iter().filter(|a| Some(a.address) != planned && obsolete(a));
    // IPv6 knows an address once on a link, whatever its prefix length (EEXIST).
    let (first, then): (Vec<_>, Vec<_>) = others
        .map(|other| other.address)
        .partition(|other| other.is_ipv6() && missing.is_some_and(|m| m.ip() == other.ip()));
    let link = &tunnel.link;
    let remove = |address| Change::RemoveAddress(link.clone(), address);
    steps.needed.extend(first.into_iter().map(remove));
    steps.needed.extend(missing.map(|address| Change::AddAddress(link.clone(), address)));
    // After the other has come: with the last IPv4 address go all routes of the link
    // (net/ipv4/fib_frontend.c, `fib_inetaddr_event`). Before the routes, because an address of
    // our own can be nobody's gateway, and the old one may be a peer's by now.
    steps.needed.extend(then.into_iter().map(remove));
}

type Pairs<K, V> = Vec<(K, V)>;

/// What is missing or differs, and what is to be removed; what differs is replaced by its key.
fn compare<K: Ord + Copy, V: Ord + Copy>(
    wanted: Option<&BTreeMap<K, V>>,
    has: impl Iterator<Item = (K, V)>,
) -> (Pairs<K, V>, Pairs<K, V>) {
    let mut has: Vec<_> = has.collect();
    has.sort_unstable();
    let is_there = |pair: &(K, V)| has.binary_search(pair).is_ok();
    let is_idle = |(key, value): &(K, V)| match wanted.and_then(|wanted| wanted.get(key)) {
        Some(right) => right != value && is_there(&(*key, *right)),
        None => true,
    };
    let wanted = wanted.into_iter().flatten().map(|(key, value)| (*key, *value));
    let missing = wanted.filter(|pair| !is_there(pair)).collect();
    (missing, has.iter().copied().filter(is_idle).collect())
}
