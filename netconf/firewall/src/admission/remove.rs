//! DEL and GC: the removal of elements and rules, and of what they were the last users of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use super::gate::Gate;
use super::layout::{self, ADMISSION, ALONE, MEMBERS};
use super::rules;
use super::wanted::{Backend, Ingress, common};
use super::{legacy, zone};
use crate::nft::{self, Element, Key, Rule, Set, Table, expression};
use crate::owner::{self, Census};
use crate::remove::{ATTEMPTS, keeps_changing};
use crate::socket::with_socket_if_any;

/// How many elements go into one transaction.
const SOME: usize = 30;

/// Removes what is the attachment's, by whatever backend it was made, and the reference plugin's
/// rules for its addresses. `known` are these, none when it had none; with `None`, when nobody
/// remembers, all elements are gone through. `zone` is where firewalld may have them without a
/// record of ours. What is not there is no error, and what is another's by now is left alone.
pub fn del(attachment: &Attachment, known: Option<&[IpAddr]>, zone: Option<&str>) -> Result<()> {
    let owner = owner::comment(attachment);
    let ours = |comment: &str| layout::owner_in(comment) == owner;
    let mut done = Ok(());
    // What nobody else has by now.
    let mut free: Vec<IpAddr> = known.unwrap_or_default().to_vec();
    let native = with_socket_if_any(|socket| {
        let mut keys = vec![(MEMBERS.clone(), layout::member_key(&owner))];
        match known {
            Some(known) => keys.extend(known.iter().flat_map(|address| {
                let maps = [layout::admitted, layout::zoned].map(|of| of(address.is_ipv6()));
                maps.map(|map| (map.clone(), Key::Address(*address)))
            })),
            None => keys.extend(listed(socket, &ours)?),
        }
        keys.sort_unstable();
        keys.dedup();
        let found = look(socket, &keys)?;
        free.retain(|address| {
            let is = |e: &Element| e.key == Key::Address(*address) && !ours(&e.comment);
            !found.iter().any(is)
        });
        let sources = zone::sources(found.iter().filter(|e| ours(&e.comment)));
        let left = known.is_some() && found.iter().all(|e| !ours(&e.comment) || e.set == MEMBERS);
        let (zone, unrecorded) = (zone.filter(|_| left), free.as_slice());
        // The record goes after what it tells of.
        zone::remove(&sources)?;
        if let Some(zone) = zone {
            zone::forget(zone, unrecorded);
        }
        remove(socket, &keys, &ours)?;
        clean(socket, &ours, &free)
    });
    done = done.and(native.map(drop));
    for v6 in [false, true] {
        let free: Vec<_> = free.iter().copied().filter(|a| a.is_ipv6() == v6).collect();
        done = done.and(legacy_of(v6, &ours, &free));
    }
    done
}

/// By which backend the attachment was admitted, as its elements tell; `None` where there are none.
pub fn used(attachment: &Attachment, addresses: &[IpAddr]) -> Result<Option<Backend>> {
    let owner = owner::comment(attachment);
    let keys: Vec<_> = addresses
        .iter()
        .flat_map(|address| {
            let maps = [layout::zoned, layout::admitted].map(|of| of(address.is_ipv6()));
            maps.map(|map| (map.clone(), Key::Address(*address)))
        })
        .collect();
    let found = with_socket_if_any(|socket| look(socket, &keys))?.unwrap_or_default();
    let mut ours = found.iter().filter(|element| element.comment == owner);
    Ok(ours.next().map(|element| {
        let zone = element.counter.as_deref().and_then(layout::zone_of);
        let zone = zone.map(|zone| Backend::Firewalld { zone: zone.to_owned() });
        zone.unwrap_or(Backend::Nftables)
    }))
}

/// Removes everything of the network that belongs to no valid attachment. The reference plugin's
/// rules tell no attachment.
pub fn gc(network: &NetworkName, valid: &BTreeSet<(ContainerId, IfName)>) -> Result<()> {
    let census = Census::new(network, valid);
    let gone = |comment: &str| census.misses(layout::owner_in(comment));
    let native = with_socket_if_any(|socket| {
        let keys = listed(socket, &gone)?;
        let mut done = Ok(());
        for some in keys.chunks(SOME) {
            let found = look(socket, some)?;
            let sources = zone::sources(found.iter().filter(|e| gone(&e.comment)));
            let removed = zone::remove(&sources).and_then(|()| remove(socket, some, &gone));
            done = done.and(removed);
        }
        done.and(clean(socket, &gone, &[]))
    });
    let mut done = native.map(drop);
    for v6 in [false, true] {
        done = done.and(legacy_of(v6, &gone, &[]));
    }
    done
}

/// The legacy part, which includes the gate when nobody is admitted any more.
fn legacy_of(v6: bool, ours: &dyn Fn(&str) -> bool, free: &[IpAddr]) -> Result<()> {
    let counter = ADMISSION.get_counter(layout::admitted_counter(v6));
    if !crate::iptables::is_legacy_in_use(v6, "filter") {
        return Ok(());
    }
    let admits = with_socket_if_any(|socket| Ok(socket.get(counter)?.is_some()))?;
    legacy::del(v6, admits != Some(true), ours, free)
}

/// The keys of all elements whose comment is as asked for.
fn listed(socket: &mut Socket, comment: &dyn Fn(&str) -> bool) -> Result<Vec<(Set, Key)>> {
    let maps = [layout::admitted, layout::zoned].map(|of| [of(false), of(true)]);
    let mut keys = Vec::new();
    for set in maps.iter().flatten().copied().chain([&MEMBERS]) {
        for object in socket.dump(&set.all())? {
            let some = Element::listed(set, &object).filter(|e| comment(&e.comment));
            keys.extend(some.map(|element| (set.clone(), element.key)));
        }
    }
    Ok(keys)
}

/// The elements that there are of these.
fn look(socket: &mut Socket, keys: &[(Set, Key)]) -> Result<Vec<Element>> {
    let gets: Vec<_> = keys.iter().map(|(set, key)| set.get(key)).collect();
    let found = socket.get_all(&gets)?;
    let elements = keys.iter().zip(found);
    Ok(elements.filter_map(|((set, _), object)| Element::listed(set, &object?).next()).collect())
}

/// Removes those elements whose comment is as asked for, and what nobody uses then, in one
/// transaction, on condition that nothing changed since it was looked at.
pub(super) fn remove(
    socket: &mut Socket,
    keys: &[(Set, Key)],
    ours: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let mut tidy = true;
    for _ in 0..ATTEMPTS {
        let generation = socket.get(nft::generation())?;
        let generation = generation.as_ref().and_then(nft::generation_of);
        let mut victims = look(socket, keys)?;
        victims.retain(|element| ours(&element.comment));
        if victims.is_empty() {
            return Ok(());
        }
        let mut batch: Vec<_> = victims.iter().map(|e| e.set.delete(&e.key)).collect();
        if tidy {
            batch.extend(losses(socket, &victims)?);
        }
        match socket.transact(&batch, generation) {
            Err(refused) if refused.has(libc::ERESTART) => {}
            // Somebody else's rule uses what is ours, which then stays.
            Err(refused) if tidy && refused.has(libc::EBUSY) => tidy = false,
            Err(refused) => return Err(Error::from(refused)),
            Ok(()) => return Ok(()),
        }
    }
    Err(keeps_changing("remove elements from", "the ruleset"))
}

/// The removal of what serves nobody without these elements.
fn losses(socket: &mut Socket, victims: &[Element]) -> Result<Vec<Request>> {
    let mut lost: BTreeMap<&str, (u32, Option<IfName>)> = BTreeMap::new();
    for element in victims {
        if let Some(counter) = &element.counter {
            let bridge = Some(&element.comment).filter(|_| element.set == MEMBERS);
            let entry = lost.entry(counter).or_default();
            entry.0 += 1;
            entry.1 = bridge.and_then(|comment| layout::bridge_in(comment));
        }
    }
    let mut gets = vec![ADMISSION.get()];
    gets.extend(lost.keys().map(|counter| ADMISSION.get_counter(counter)));
    let mut found = socket.get_all(&gets)?.into_iter();
    let population = found.next().flatten().as_ref().and_then(Table::population);
    let unused: Vec<_> = lost
        .iter()
        .zip(found)
        .filter(|((_, (lost, _)), object)| object.as_ref().and_then(Table::users) == Some(*lost))
        .map(|((counter, (_, bridge)), _)| (*counter, bridge.clone()))
        .collect();

    let mut batch = Vec::new();
    for v6 in [false, true] {
        if unused.iter().any(|(counter, _)| *counter == layout::admitted_counter(v6)) {
            batch.extend(Gate::look(socket, v6)?.close(socket, true, &|_| false)?);
        }
    }
    let bridges: BTreeSet<_> = unused.iter().filter_map(|(_, bridge)| bridge.clone()).collect();
    let mut shared = Vec::new();
    for bridge in &bridges {
        shared.extend(unshared(socket, bridge, &unused)?);
    }
    let gone = u32::try_from(unused.len()).unwrap_or(u32::MAX);
    if population.and_then(|all| all.checked_sub(gone)) == Some(ALONE) {
        batch.push(ADMISSION.delete());
    } else {
        batch.extend(shared.iter().map(|e| e.set.delete(&e.key)));
        batch.extend(unused.iter().map(|(counter, _)| ADMISSION.delete_counter(counter)));
    }
    Ok(batch)
}

/// The elements of a bridge's policies that nobody wants without these counters.
fn unshared(
    socket: &mut Socket,
    bridge: &IfName,
    unused: &[(&str, Option<IfName>)],
) -> Result<Vec<Element>> {
    let policies = [Ingress::SameBridge, Ingress::Isolated];
    let gets = policies.map(|of| ADMISSION.get_counter(&layout::policy_counter(of, bridge)));
    let found = socket.get_all(&gets)?;
    let mut kept: Vec<Element> = Vec::new();
    let mut lost: Vec<Element> = Vec::new();
    for (policy, object) in policies.into_iter().zip(found) {
        let counter = layout::policy_counter(policy, bridge);
        if unused.iter().any(|(name, _)| *name == counter) {
            lost.extend(common(policy, bridge));
        } else if object.is_some() {
            kept.extend(common(policy, bridge));
        }
    }
    lost.retain(|element| !kept.contains(element));
    let mut distinct: Vec<Element> = Vec::new();
    for element in lost {
        if !distinct.contains(&element) {
            distinct.push(element);
        }
    }
    let keys: Vec<_> = distinct.iter().map(|e| (e.set.clone(), e.key.clone())).collect();
    look(socket, &keys)
}

/// Removes the rules for iptables that tell one of ours, and the reference plugin's for `free`
/// addresses, where iptables is iptables-nft.
fn clean(socket: &mut Socket, ours: &dyn Fn(&str) -> bool, free: &[IpAddr]) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let generation = socket.get(nft::generation())?;
        let generation = generation.as_ref().and_then(nft::generation_of);
        let mut batch = Vec::new();
        for v6 in [false, true] {
            batch.extend(cleaning(socket, v6, ours, free)?);
        }
        match socket.transact(&batch, generation) {
            Err(refused) if refused.has(libc::ERESTART) => {}
            done => return done.map_err(Error::from),
        }
    }
    Err(keeps_changing("remove rules from", "the ruleset"))
}

fn cleaning(
    socket: &mut Socket,
    v6: bool,
    ours: &dyn Fn(&str) -> bool,
    free: &[IpAddr],
) -> Result<Vec<Request>> {
    let gate = Gate::look(socket, v6)?;
    if !gate.is_there() {
        return Ok(Vec::new());
    }
    let compares = |rule: &Rule<'_>, a: IpAddr| {
        expression::compares_with(rule.expressions, &expression::bytes(a))
    };
    let is_of = |rule: &Rule<'_>, whose: &dyn Fn(&str) -> bool| {
        rule.iptables_comment().is_some_and(|comment| rules::is_owner(comment) && whose(comment))
    };
    let free: Vec<IpAddr> = free
        .iter()
        .copied()
        .filter(|a| a.is_ipv6() == v6)
        .filter(|a| !gate.private().any(|r| is_of(&r, &|c| !ours(c)) && compares(&r, *a)))
        .collect();
    let victim = |rule: &Rule<'_>| {
        let bare = rule.iptables_comment().is_none() && rule.target().is_none();
        is_of(rule, ours) || bare && free.iter().any(|a| compares(rule, *a))
    };
    let mut batch = gate.join(socket, &|rule| is_of(rule, ours))?;
    batch.extend(gate.close(socket, false, &victim)?);
    Ok(batch)
}
