//! ADD: one look at what there is, and one transaction.

use kernel::Result;
use kernel::netfilter::{Object, Request, Socket};

use crate::group::Group;
use crate::layout::{self, ALLOWED, ANTISPOOF, GUARD, MASQUERADE, POSTROUTING, PREROUTING};
use crate::nft::{Element, Key, Table};
use crate::owner;
use crate::remove::ATTEMPTS;
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
            let batch = difference(socket, wanted, &elements, everything)?;
            let Err(refused) = socket.transact(&batch, None) else { break };
            // Somebody made or removed something between the look and the transaction, or a part
            // of the layout was removed by hand, which is then sent as a whole.
            everything |= refused.has(libc::ENOENT);
            let passing = refused.has(libc::ENOENT) || refused.has(libc::EEXIST);
            if !passing || attempt >= ATTEMPTS {
                return Err(refused.into());
            }
        }
        Ok(())
    })
}

/// A part of the layout: the chain that tells whether it is there, with the number of its rules.
struct Part<'a> {
    table: Table,
    chain: String,
    rules: u32,
    create: Box<dyn Fn() -> Vec<Request> + 'a>,
}

/// What has to be sent.
fn difference(
    socket: &mut Socket,
    wanted: &Wanted,
    elements: &[Element],
    everything: bool,
) -> Result<Vec<Request>> {
    let groups: Vec<_> = wanted.groups().into_iter().collect();
    let parts = parts(wanted, &groups);
    let mut gets: Vec<_> = parts.iter().map(|part| part.table.get_chain(&part.chain)).collect();
    gets.extend(elements.iter().map(|e| e.set.get(&e.key)));
    let mut found = socket.get_all(&gets)?.into_iter();

    let mut batch = Vec::new();
    for (part, chain) in parts.iter().zip(found.by_ref()) {
        let rules = chain.as_ref().and_then(Table::uses).unwrap_or(0);
        if everything || rules < part.rules {
            batch.extend((part.create)());
        }
    }
    for (element, object) in elements.iter().zip(found) {
        replace(socket, (element, elements), object, &mut batch)?;
    }
    Ok(batch)
}

fn parts<'a>(wanted: &Wanted, groups: &'a [Group]) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    if wanted.masquerade.is_some() {
        let chain = POSTROUTING.to_owned();
        let create = Box::new(layout::masquerade);
        parts.push(Part { table: MASQUERADE, chain, rules: 2, create });
    }
    for group in groups {
        let chain = group.chain();
        let rules = group.size();
        parts.push(Part { table: MASQUERADE, chain, rules, create: Box::new(|| group.create()) });
    }
    if wanted.antispoof.is_some() {
        for (chain, rules) in [(GUARD, 2), (PREROUTING, 1)] {
            let create = Box::new(layout::antispoof);
            parts.push(Part { table: ANTISPOOF, chain: chain.to_owned(), rules, create });
        }
    }
    parts
}

/// Compares an element with what there is, and adds the difference to the batch.
fn replace(
    socket: &mut Socket,
    (element, all): (&Element, &[Element]),
    there: Option<Object>,
    batch: &mut Vec<Request>,
) -> Result<()> {
    let there = there.and_then(|object| Element::listed(element.set, &object).next());
    if there.as_ref() == Some(element) {
        return Ok(());
    }
    if let Some(there) = there {
        batch.push(element.set.delete(&element.key));
        // A guarded link that had another hardware address: that one is not its any more.
        if let (Key::Link(link), (_, Some(mac))) = (&there.key, owner::split(&there.comment)) {
            let stale = Key::LinkAndMac(link.clone(), mac);
            let wanted = all.iter().any(|e| e.key == stale);
            if !wanted && socket.get(ALLOWED.get(&stale))?.is_some() {
                batch.push(ALLOWED.delete(&stale));
            }
        }
    }
    batch.push(element.insert());
    Ok(())
}
