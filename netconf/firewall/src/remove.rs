//! DEL and GC: the removal of elements, and of what they were the last users of.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use kernel::netfilter::{Object, Request, Socket};
use kernel::{Error, Result};

use crate::group;
use crate::layout::{
    ADDRESSES4, ADDRESSES6, ALLOWED, ANTISPOOF, GUARD, GUARDED, MASQUERADE, MASQUERADE_ALONE,
};
use crate::nft::{self, Element, Key, Set, Table};
use crate::owner::{self, Census};
use crate::reference;
use crate::socket::with_socket_if_any;
use crate::wanted::addresses;

/// How often a transaction is tried again because the ruleset changed under it. Each time somebody
/// else's transaction succeeded, so this is many more than can stand in line.
pub(crate) const ATTEMPTS: usize = 1000;
/// How many elements go into one transaction.
const SOME: usize = 30;

/// Removes what is the attachment's, whoever made it: we or the reference plugins. `known` are its
/// addresses as far as anybody remembers (the previous result, the lease); with none, all elements
/// are gone through. `link` is the host's end of its veth. What is not there is no error, nor is a
/// kernel without nf_tables. An address or a link that is another's by now is left alone.
///
/// The kernel frees what was removed on its own time and delays the process's end until then, so
/// call this before the removal of the link, which takes as long and goes on beside it.
pub fn del(attachment: &Attachment, known: &[IpAddr], link: Option<&IfName>) -> Result<()> {
    // Each is tried, whatever becomes of the others.
    let done = with_socket_if_any(|socket| {
        let ours = own(socket, attachment, known, link);
        let theirs = reference::del_with(socket, attachment, known);
        ours.and(theirs)
    });
    done.map(drop).and(reference::del_legacy(attachment, known))
}

fn own(
    socket: &mut Socket,
    attachment: &Attachment,
    known: &[IpAddr],
    link: Option<&IfName>,
) -> Result<()> {
    let owner = owner::comment(attachment);
    let ours = |comment: &str| owner::split(comment).0 == owner;
    let mut keys: Vec<(&'static Set, Key)> = Vec::new();
    for address in known {
        keys.push((addresses(address.is_ipv6()), Key::Address(*address)));
    }
    if known.is_empty() {
        keys.extend(listed(socket, [&ADDRESSES4, &ADDRESSES6], &ours)?);
    }
    if let Some(link) = link {
        keys.push((&GUARDED, Key::Link(link.clone())));
    }
    remove(socket, &keys, &ours)
}

/// Removes everything of the network that belongs to no valid attachment, ours and, in nf_tables,
/// the reference plugins'.
pub fn gc(network: &NetworkName, valid: &BTreeSet<(ContainerId, IfName)>) -> Result<()> {
    let census = Census::new(network, valid);
    let gone = |comment: &str| census.misses(owner::split(comment).0);
    let done = with_socket_if_any(|socket| {
        let keys = listed(socket, [&ADDRESSES4, &ADDRESSES6, &GUARDED, &ALLOWED], &gone)?;
        let mut done = Ok(());
        for some in keys.chunks(SOME) {
            done = done.and(remove(socket, some, &gone));
        }
        done.and(reference::gc_with(socket, network, valid))
    });
    done.map(drop)
}

/// The keys of all elements whose comment is as asked for.
fn listed<const N: usize>(
    socket: &mut Socket,
    sets: [&'static Set; N],
    comment: &dyn Fn(&str) -> bool,
) -> Result<Vec<(&'static Set, Key)>> {
    let mut keys = Vec::new();
    for set in sets {
        for object in socket.dump(&set.all())? {
            let some = Element::listed(set, &object).filter(|e| comment(&e.comment));
            keys.extend(some.map(|element| (set, element.key)));
        }
    }
    Ok(keys)
}

/// Removes those elements whose comment is as asked for, and the chains and tables that nobody
/// uses then, in one transaction, on condition that nothing changed since it was looked at.
fn remove(
    socket: &mut Socket,
    keys: &[(&'static Set, Key)],
    ours: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let mut companions = true;
    for _ in 0..ATTEMPTS {
        let mut gets = vec![nft::generation()];
        gets.extend(keys.iter().map(|(set, key)| set.get(key)));
        let mut found = socket.get_all(&gets)?.into_iter();
        let generation = found.next().flatten().as_ref().and_then(nft::generation_of);
        let victims: Vec<Element> = keys
            .iter()
            .zip(found)
            .filter_map(|((set, _), object)| Element::listed(set, &object?).next())
            .filter(|element| ours(&element.comment))
            .collect();
        if victims.is_empty() {
            return Ok(());
        }
        let mut batch: Vec<_> = victims.iter().map(|e| e.set.delete(&e.key)).collect();
        if companions {
            batch.extend(companions_of(&victims));
        }
        tidy(socket, &victims, &mut batch)?;
        let Err(refused) = socket.transact(&batch, generation) else { return Ok(()) };
        // With the generation unchanged only an `allowed` of a guarded link can be missing, one
        // that somebody removed by hand.
        companions &= !refused.has(libc::ENOENT);
        if !(refused.has(libc::ERESTART) || refused.has(libc::ENOENT)) {
            return Err(Error::from(refused));
        }
    }
    let changing = io::Error::from_raw_os_error(libc::EAGAIN);
    Err(Error::new("remove elements from", "the ruleset, which keeps changing", changing))
}

/// The hardware addresses of guarded links that are removed.
fn companions_of(victims: &[Element]) -> impl Iterator<Item = Request> {
    victims.iter().filter_map(|element| {
        let Key::Link(link) = &element.key else { return None };
        let allowed = Key::LinkAndMac(link.clone(), owner::split(&element.comment).1?);
        let listed = victims.iter().any(|e| e.key == allowed);
        (!listed).then(|| ALLOWED.delete(&allowed))
    })
}

/// Adds to the batch the chains that lose their last user with these elements, or the table when
/// it serves nobody then.
fn tidy(socket: &mut Socket, victims: &[Element], batch: &mut Vec<Request>) -> Result<()> {
    let mut losses: BTreeMap<(Table, &str), u32> = BTreeMap::new();
    for element in victims {
        if let Some(chain) = &element.jump {
            *losses.entry((element.set.table, chain)).or_default() += 1;
        }
    }
    let mut gets = vec![MASQUERADE.get()];
    gets.extend(losses.keys().map(|(table, chain)| table.get_chain(chain)));
    let mut found = socket.get_all(&gets)?.into_iter();
    let population = found.next().flatten().as_ref().and_then(Table::population);
    let is_last = |chain: &str, lost: u32, object: Option<Object>| {
        let rules = if chain == GUARD { Some(2) } else { group::rules_of(chain) };
        let uses = object.as_ref().and_then(Table::uses);
        rules.zip(uses).is_some_and(|(rules, uses)| uses == rules + lost)
    };
    let mut unused = Vec::new();
    for ((&(table, chain), &lost), object) in losses.iter().zip(found) {
        if is_last(chain, lost, object) {
            unused.push((table, chain));
        }
    }

    let groups: Vec<_> = unused.iter().filter(|(table, _)| *table == MASQUERADE).collect();
    let remaining =
        u32::try_from(groups.len()).ok().zip(population).and_then(|(g, all)| all.checked_sub(g));
    if !groups.is_empty() && remaining == Some(MASQUERADE_ALONE) {
        batch.push(MASQUERADE.delete());
    } else {
        batch.extend(groups.iter().map(|(table, chain)| table.delete_chain(chain)));
    }
    if unused.contains(&(ANTISPOOF, GUARD)) {
        batch.push(ANTISPOOF.delete());
    }
    Ok(())
}
