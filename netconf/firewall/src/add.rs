//! ADD: a look at what there is, a look at the rules of each chain, and one transaction.

use std::collections::BTreeSet;

use kernel::Result;
use kernel::netfilter::{Request, Socket};

use crate::group::Group;
use crate::layout::{self, ANTISPOOF, MASQUERADE, PREROUTING};
use crate::nft::{self, Element, Key, Set};
use crate::part::Part;
use crate::remove::{ATTEMPTS, Losses};
use crate::socket::with_socket;
use crate::wanted::Wanted;

/// Makes what is wanted, all of it or nothing. What already is as wanted stays; an element that
/// holds the address or the link for somebody else is a dead attachment's, because both are ours
/// now, and is replaced.
///
/// It looks first, because a refused transaction costs more than ten milliseconds: the kernel
/// waits for all of its processors before it forgets one (`__nf_tables_abort`).
pub fn add(wanted: &Wanted) -> Result<()> {
    let elements = wanted.elements();
    if elements.is_empty() {
        return Ok(());
    }
    with_socket(|socket| {
        let mut everything = false;
        for attempt in 1.. {
            let change = Change::find(socket, wanted, &elements, everything)?;
            let Err(refused) = socket.transact(&change.batch, change.generation) else { break };
            // Somebody made or removed something between the look and the transaction, or a part
            // of the layout was removed by hand, which is then sent as a whole.
            everything |= refused.has(libc::ENOENT);
            let passing = [libc::ENOENT, libc::EEXIST, libc::ERESTART];
            if !passing.iter().any(|errno| refused.has(*errno)) || attempt >= ATTEMPTS {
                return Err(refused.into());
            }
        }
        Ok(())
    })
}

/// What has to be sent.
struct Change {
    batch: Vec<Request>,
    /// What it depends on, where something of a dead attachment is replaced: that nothing else has
    /// changed meanwhile.
    generation: Option<u32>,
}

impl Change {
    fn find(
        socket: &mut Socket,
        wanted: &Wanted,
        elements: &[Element],
        everything: bool,
    ) -> Result<Self> {
        let groups = wanted.groups();
        let parts = parts(wanted, &groups);
        let mut gets = vec![nft::generation()];
        gets.extend(parts.iter().map(|part| part.table.get_chain(&part.chain)));
        gets.extend(elements.iter().map(|e| e.set.get(&e.key)));
        let mut found = socket.get_all(&gets)?.into_iter();
        let generation = found.next().flatten().as_ref().and_then(nft::generation_of);

        let mut batch = Vec::new();
        for (part, chain) in parts.iter().zip(found.by_ref()) {
            if everything || chain.is_none() || !part.is_whole(socket)? {
                batch.extend((part.create)());
            }
        }
        let mut replaced = Vec::new();
        for (element, object) in elements.iter().zip(found) {
            let there = object.and_then(|object| Element::listed(&element.set, &object).next());
            if there.as_ref() == Some(element) {
                continue;
            }
            if let Some(there) = there {
                batch.push(element.set.delete(&element.key));
                replaced.push(there);
            }
            batch.push(element.insert());
        }
        if replaced.is_empty() {
            return Ok(Self { batch, generation: None });
        }
        let kept = |set: &Set, key: &Key| elements.iter().any(|e| e.set == *set && e.key == *key);
        let losses = Losses::find(socket, &replaced, kept)?;
        batch.extend(losses.companions.iter().map(|(set, key)| set.delete(key)));
        let wanted: BTreeSet<_> = groups.iter().map(Group::name).collect();
        let unused = losses.groups.iter().filter(|group| !wanted.contains(*group));
        batch.extend(unused.flat_map(|group| crate::group::remove(MASQUERADE, group)));
        Ok(Self { batch, generation })
    }
}

fn parts<'a>(wanted: &Wanted, groups: &'a BTreeSet<Group>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for group in groups {
        let create = || {
            let mut batch = layout::masquerade(MASQUERADE);
            batch.extend(group.create(MASQUERADE));
            batch
        };
        let (chain, rules) = (group.name(), group.rules());
        parts.push(Part { table: MASQUERADE, chain, rules, create: Box::new(create) });
    }
    if wanted.antispoof.is_some() {
        let (chain, rules) = (PREROUTING.to_owned(), layout::prerouting());
        let create = Box::new(|| layout::antispoof(ANTISPOOF));
        parts.push(Part { table: ANTISPOOF, chain, rules, create });
    }
    parts
}
