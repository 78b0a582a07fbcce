//! DEL and GC: the removal of elements, and of what they were the last users of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use ipnetwork::IpNetwork;
use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use super::later::Later;
use super::layout::{self, EVERYBODY, PORTS};
use super::listing::{self, owner_of};
use super::wanted::{Item, Wanted};
use super::{group, reference};
use crate::conntrack;
use crate::nft::{self, Element, Key, Set, Table};
use crate::owner::{self, Census};
use crate::remove::{ATTEMPTS, keeps_changing};
use crate::socket::with_socket_if_any;

/// Removes what is the attachment's, whoever made it: we, by nf_tables or iptables, or the
/// reference plugin. `wanted` is what its configuration asks for, where that can be told; where it
/// is not all that the attachment has, all maps are gone through. What is not there is no error,
/// nor is a kernel without nf_tables. Connections that led to the container are forgotten.
pub fn del(attachment: &Attachment, wanted: Option<&Wanted>) -> Result<()> {
    let owner = owner::comment(attachment);
    let known: Vec<_> = wanted.iter().flat_map(|w| &w.addresses).map(IpNetwork::ip).collect();
    // Each is tried, whatever becomes of the others.
    let done = with_socket_if_any(|socket| {
        let candidates = wanted.map(|wanted| wanted.items(&Later::default())).unwrap_or_default();
        let ours = own(socket, &owner, candidates.into_iter().map(key_of).collect());
        let theirs = reference::del_with(socket, attachment, &known);
        let (ours, theirs) = (ours?, theirs?);
        let mut led_to: BTreeSet<_> = destinations(&ours).collect();
        if theirs {
            led_to.extend(known);
        }
        conntrack::forget_containers(socket, &led_to)
    });
    done.map(drop).and(reference::del_legacy(attachment))
}

fn key_of(item: Item) -> (Set, Key) {
    (item.element.set, item.element.key)
}

/// The containers that elements lead to.
fn destinations(elements: &[Element]) -> impl Iterator<Item = IpAddr> {
    elements.iter().filter_map(|element| Some(element.to?.ip()))
}

/// Removes what of `candidates` is the owner's, and where that is not all, the rest. Tells what
/// was removed.
fn own(socket: &mut Socket, owner: &str, mut candidates: Vec<(Set, Key)>) -> Result<Vec<Element>> {
    let (mut tidy, mut exhausted) = (true, false);
    let digest = layout::digest(owner).map(|key| (layout::attachments(PORTS), key));
    for _ in 0..ATTEMPTS {
        let keys: Vec<_> = digest.iter().chain(&candidates).collect();
        let mut gets = vec![nft::generation()];
        gets.extend(keys.iter().map(|(set, key)| set.get(key)));
        let mut found = socket.get_all(&gets)?.into_iter();
        let generation = found.next().flatten().as_ref().and_then(nft::generation_of);
        let victims: Vec<Element> = keys
            .iter()
            .zip(found)
            .filter_map(|((set, _), object)| Element::listed(set, &object?).next())
            .filter(|element| owner_of(element) == owner)
            .collect();
        if victims.is_empty() {
            return Ok(Vec::new());
        }
        if !exhausted && !are_all(&victims) {
            exhausted = true;
            let all = listing::all(socket, &|of| of == owner)?;
            candidates = all.into_iter().map(|e| (e.set, e.key)).collect();
            candidates.retain(|place| Some(place) != digest.as_ref());
            continue;
        }
        let batch = Removal::find(socket, &victims, &|_, _| false, &BTreeSet::new())?.batch(tidy);
        match socket.transact(&batch, generation) {
            Err(refused) if refused.has(libc::ERESTART) => {}
            // Somebody else's rule uses what is ours, which then stays.
            Err(refused) if tidy && refused.has(libc::EBUSY) => tidy = false,
            Err(refused) => return Err(Error::from(refused)),
            Ok(()) => return Ok(victims),
        }
    }
    Err(keeps_changing("remove elements from", "the ruleset"))
}

/// True when these are as many as the attachment's own element, the first, tells.
fn are_all(victims: &[Element]) -> bool {
    let count = victims.first().filter(|e| e.counter.as_deref() == Some(EVERYBODY));
    count.and_then(|e| e.comment.split_once(' ')?.1.parse().ok()) == victims.len().checked_sub(1)
}

/// Removes everything of the network that belongs to no valid attachment.
pub fn gc(network: &NetworkName, valid: &BTreeSet<(ContainerId, IfName)>) -> Result<()> {
    let census = Census::new(network, valid);
    let done = with_socket_if_any(|socket| {
        let gone = |owner: &str| census.misses(owner);
        let mut owners: BTreeMap<String, Vec<(Set, Key)>> = BTreeMap::new();
        if socket.get(PORTS.get())?.is_some() {
            for element in listing::all(socket, &gone)? {
                let places = owners.entry(owner_of(&element).to_owned()).or_default();
                if element.counter.as_deref() != Some(EVERYBODY) {
                    places.push((element.set, element.key));
                }
            }
        }
        let (mut done, mut led_to) = (Ok(()), BTreeSet::new());
        for (owner, places) in owners {
            match own(socket, &owner, places) {
                Ok(removed) => led_to.extend(destinations(&removed)),
                Err(e) => done = done.and(Err(e)),
            }
        }
        done.and(conntrack::forget_containers(socket, &led_to))
            .and(reference::gc_with(socket, network, valid))
    });
    done.map(drop).and(reference::gc_legacy(network, valid))
}

/// The removal of elements and of what depends on them.
pub(super) struct Removal {
    elements: Vec<(Set, Key)>,
    companions: Vec<(Set, Key)>,
    /// The groups that lose their last user.
    groups: Vec<String>,
    /// True when nobody has anything any more.
    everything: bool,
}

impl Removal {
    /// Looks at what `victims` lead to. Companions that are `kept` and groups that are `wanted`
    /// stay.
    pub(super) fn find(
        socket: &mut Socket,
        victims: &[Element],
        kept: &dyn Fn(&Set, &Key) -> bool,
        wanted: &BTreeSet<String>,
    ) -> Result<Self> {
        let mut lost: BTreeMap<&str, u32> = BTreeMap::new();
        for counter in victims.iter().filter_map(|e| e.counter.as_deref()) {
            *lost.entry(counter).or_default() += 1;
        }
        let mut companions: Vec<_> = victims.iter().filter_map(companion).collect();
        companions.retain(|(set, key)| !kept(set, key));
        let mut gets: Vec<_> = lost.keys().map(|counter| PORTS.get_counter(counter)).collect();
        gets.extend(companions.iter().map(|(set, key)| set.get(key)));
        let mut found = socket.get_all(&gets)?.into_iter();
        let mut unused = Vec::new();
        for ((&counter, &lost), object) in lost.iter().zip(found.by_ref()) {
            if object.as_ref().and_then(Table::users) == Some(lost) && !wanted.contains(counter) {
                unused.push(counter.to_owned());
            }
        }
        let mut there = found.map(|object| object.is_some());
        companions.retain(|_| there.next().unwrap_or(false));
        let everything = unused.iter().any(|counter| counter == EVERYBODY);
        let elements = victims.iter().map(|e| (e.set.clone(), e.key.clone())).collect();
        Ok(Self { elements, companions, groups: unused, everything })
    }

    /// What is sent for it; without what is not used any more where that is not to be `tidy`.
    pub(super) fn batch(&self, tidy: bool) -> Vec<Request> {
        if tidy && self.everything {
            return vec![PORTS.delete()];
        }
        let places = self.elements.iter().chain(&self.companions);
        let mut batch: Vec<_> = places.map(|(set, key)| set.delete(key)).collect();
        if tidy {
            batch.extend(self.groups.iter().flat_map(|name| group::remove(PORTS, name)));
        }
        batch
    }
}

/// What goes with an element: the address in its group's set.
fn companion(Element { key, counter, .. }: &Element) -> Option<(Set, Key)> {
    match (key, counter) {
        (Key::Address(address), Some(group)) => {
            Some((group::members(PORTS, address.is_ipv6(), group.clone()), key.clone()))
        }
        _ => None,
    }
}
