//! ADD: a look at what there is, and one transaction.

use std::ops::Range;

use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use super::gate::Gate;
use super::layout::{self, ADMISSION, MEMBERS};
use super::wanted::{Backend, Wanted};
use super::{legacy, remove, zone};
use crate::nft::{self, Element};
use crate::remove::ATTEMPTS;
use crate::socket::with_socket;

/// Makes what is wanted. What already is as wanted stays, and what is missing of the parts that all
/// attachments share is made again; an element that holds the address for somebody else is a dead
/// attachment's, and is replaced. When it fails, what it has made so far is for [`del`](super::del)
/// to remove.
pub fn add(wanted: &Wanted) -> Result<()> {
    match &wanted.backend {
        Backend::Iptables => legacy::admit(wanted),
        Backend::Nftables => {
            native(wanted)?;
            wanted.families().try_for_each(|v6| legacy::open_gate(wanted, v6))
        }
        Backend::Firewalld { zone } => {
            let firewalld = zone::firewalld()?;
            native(wanted)?;
            zone::add(firewalld, zone, &wanted.addresses)
        }
    }
}

fn native(wanted: &Wanted) -> Result<()> {
    let elements = wanted.elements();
    if elements.is_empty() {
        return Ok(());
    }
    with_socket(|socket| {
        let (mut everything, mut native) = (false, false);
        for attempt in 1.. {
            let change = match Change::find(socket, wanted, &elements, everything, native)? {
                Look::Change(change) => change,
                Look::Again => continue,
            };
            let Err(refused) = socket.transact(&change.batch, change.generation) else { break };
            // The gate is looked at in the same generation, so what it does not find are the
            // terms of iptables in this kernel.
            let at_gate = |index: Option<usize>| index.is_some_and(|i| change.gate.contains(&i));
            native |= refused.refusals.iter().any(|r| r.errno == libc::ENOENT && at_gate(r.index));
            everything |= refused.has(libc::ENOENT);
            let passing = [libc::ENOENT, libc::EEXIST, libc::ERESTART];
            if !passing.iter().any(|errno| refused.has(*errno)) || attempt >= ATTEMPTS {
                return Err(Error::from(refused));
            }
        }
        Ok(())
    })
}

/// What came of a look.
enum Look {
    Change(Change),
    /// Something had to be removed first.
    Again,
}

/// What has to be sent.
struct Change {
    batch: Vec<Request>,
    /// Where in the batch the gate is.
    gate: Range<usize>,
    /// What it depends on.
    generation: Option<u32>,
}

impl Change {
    fn find(
        socket: &mut Socket,
        wanted: &Wanted,
        elements: &[Element],
        everything: bool,
        native: bool,
    ) -> Result<Look> {
        let parts = layout::parts();
        let common = wanted.common();
        let counters: Vec<&str> = {
            let mut counters: Vec<_> =
                elements.iter().filter_map(|e| e.counter.as_deref()).collect();
            counters.sort_unstable();
            counters.dedup();
            counters
        };
        let mut gets = vec![nft::generation()];
        gets.extend(parts.iter().map(|part| part.table.get_chain(&part.chain)));
        gets.extend(counters.iter().map(|counter| ADMISSION.get_counter(counter)));
        gets.extend(elements.iter().chain(&common).map(|e| e.set.get(&e.key)));
        // An earlier ADD may have been asked for a policy.
        let policy = (MEMBERS.clone(), layout::member_key(&wanted.owner()));
        let policy = Some(policy).filter(|_| wanted.own_policy().is_none());
        gets.extend(policy.iter().map(|(set, key)| set.get(key)));
        let mut found = socket.get_all(&gets)?.into_iter();
        let generation = found.next().flatten().as_ref().and_then(nft::generation_of);

        let mut batch = Vec::new();
        for (part, chain) in parts.iter().zip(found.by_ref()) {
            if everything || chain.is_none() || !part.is_whole(socket)? {
                batch.extend((part.create)());
            }
        }
        for (counter, object) in counters.iter().zip(found.by_ref()) {
            if everything || object.is_none() {
                batch.push(ADMISSION.create_counter(counter));
            }
        }
        let mut conditional = false;
        for (element, object) in elements.iter().chain(&common).zip(found.by_ref()) {
            let there = object.and_then(|object| Element::listed(&element.set, &object).next());
            match there {
                Some(there) if there == *element => continue,
                Some(there) if there.counter == element.counter => {
                    conditional = true;
                    batch.push(element.set.delete(&element.key));
                }
                Some(there) => {
                    // It may have been the last one that its counter was for.
                    zone::remove(&zone::sources(std::iter::once(&there)))?;
                    let key = (element.set.clone(), element.key.clone());
                    remove::remove(socket, &[key], &|_| true)?;
                    return Ok(Look::Again);
                }
                None => {}
            }
            batch.push(element.insert());
        }
        if let Some(policy) = policy.filter(|_| found.next().flatten().is_some()) {
            remove::remove(socket, &[policy], &|_| true)?;
            return Ok(Look::Again);
        }
        let begin = batch.len();
        if wanted.backend == Backend::Nftables {
            for v6 in wanted.families() {
                batch.extend(Gate::look(socket, v6)?.open(&wanted.admin_chain, native));
            }
        }
        let gate = begin..batch.len();
        conditional |= !gate.is_empty();
        Ok(Look::Change(Self { batch, gate, generation: generation.filter(|_| conditional) }))
    }
}
