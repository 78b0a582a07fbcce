//! DEL and GC: the removal of elements, and of what they were the last users of.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use crate::group;
use crate::layout::{
    self, ADDRESSES4, ADDRESSES6, ALLOWED, ANTISPOOF, GUARDED, MASQUERADE, MASQUERADE_ALONE,
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
/// addresses (the previous result, the lease), none when it had none; with `None`, when nobody
/// remembers, all addresses are gone through. `link` is the host's end of its veth. What is not
/// there is no error, nor is a kernel without nf_tables. An address or a link that is another's by
/// now is left alone.
///
/// The kernel frees what was removed on its own time and delays the process's end until then, so
/// call this before the removal of the link, which takes as long and goes on beside it, once the
/// link lets nothing through.
pub fn del(attachment: &Attachment, known: Option<&[IpAddr]>, link: Option<&IfName>) -> Result<()> {
    let addresses = known.unwrap_or_default();
    // Each is tried, whatever becomes of the others.
    let done = with_socket_if_any(|socket| {
        let ours = own(socket, attachment, known, link);
        let theirs = reference::del_with(socket, attachment, addresses);
        ours.and(theirs)
    });
    done.map(drop).and(reference::del_legacy(attachment, addresses))
}

fn own(
    socket: &mut Socket,
    attachment: &Attachment,
    known: Option<&[IpAddr]>,
    link: Option<&IfName>,
) -> Result<()> {
    let owner = owner::comment(attachment);
    let ours = |comment: &str| owner::split(comment).0 == owner;
    let mut keys: Vec<(&'static Set, Key)> = Vec::new();
    match known {
        Some(known) => keys.extend(
            known.iter().map(|address| (addresses(address.is_ipv6()), Key::Address(*address))),
        ),
        None => keys.extend(listed(socket, [&ADDRESSES4, &ADDRESSES6], &ours)?),
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

/// Removes those elements whose comment is as asked for, and the groups and tables that nobody
/// uses then, in one transaction, on condition that nothing changed since it was looked at.
fn remove(
    socket: &mut Socket,
    keys: &[(&'static Set, Key)],
    ours: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let mut tidy = true;
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
        let victim = |set: &Set, key: &Key| victims.iter().any(|e| e.set == *set && e.key == *key);
        batch.extend(Losses::find(socket, &victims, victim)?.removal(tidy));
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

/// What was tried as often as it can help.
pub(crate) fn keeps_changing(op: &'static str, on: &str) -> Error {
    let changing = io::Error::from_raw_os_error(libc::EAGAIN);
    Error::new(op, format!("{on}, which keeps changing"), changing)
}

/// What is lost with elements of the maps.
pub(crate) struct Losses {
    /// The companions of these elements that are there.
    pub(crate) companions: Vec<(Set, Key)>,
    /// The groups that lose their last user.
    pub(crate) groups: Vec<String>,
    /// True when the table for masquerade serves nobody any more, groups and all.
    masquerade: bool,
    /// True when the last guarded link goes.
    antispoof: bool,
}

impl Losses {
    /// Looks at what `victims` lead to. Companions that are `treated` already do not count.
    pub(crate) fn find(
        socket: &mut Socket,
        victims: &[Element],
        treated: impl Fn(&Set, &Key) -> bool,
    ) -> Result<Self> {
        let mut companions: Vec<_> = victims.iter().filter_map(layout::companion).collect();
        companions.retain(|(set, key)| !treated(set, key));
        let mut lost: BTreeMap<(Table, &str), u32> = BTreeMap::new();
        for Element { set, counter, .. } in victims {
            if let Some(counter) = counter {
                *lost.entry((set.table, counter)).or_default() += 1;
            }
        }
        let mut gets = vec![MASQUERADE.get()];
        gets.extend(lost.keys().map(|(table, counter)| table.get_counter(counter)));
        gets.extend(companions.iter().map(|(set, key)| set.get(key)));
        let mut found = socket.get_all(&gets)?.into_iter();

        let population = found.next().flatten().as_ref().and_then(Table::population);
        let mut unused = Vec::new();
        for ((&counter, &lost), object) in lost.iter().zip(found.by_ref()) {
            if object.as_ref().and_then(Table::users) == Some(lost) {
                unused.push(counter);
            }
        }
        let in_table =
            |table| unused.iter().filter(move |(t, _)| *t == table).map(|(_, name)| *name);
        let groups: Vec<_> = in_table(MASQUERADE).map(str::to_owned).collect();
        let parts = u32::try_from(groups.len()).unwrap_or(u32::MAX).saturating_mul(group::PARTS);
        let left = population.and_then(|all| all.checked_sub(parts));
        let antispoof = in_table(ANTISPOOF).next().is_some();
        let mut there = found.map(|object| object.is_some());
        companions.retain(|_| there.next().unwrap_or(false));
        Ok(Self {
            companions,
            masquerade: !groups.is_empty() && left == Some(MASQUERADE_ALONE),
            groups,
            antispoof,
        })
    }

    /// The removal of the companions, and of what is not used any more where that is to be `tidy`.
    fn removal(&self, tidy: bool) -> Vec<Request> {
        let mut batch: Vec<_> = self.companions.iter().map(|(set, key)| set.delete(key)).collect();
        if !tidy {
            return batch;
        }
        if self.masquerade {
            batch.push(MASQUERADE.delete());
        } else {
            batch.extend(self.groups.iter().flat_map(|group| group::remove(MASQUERADE, group)));
        }
        if self.antispoof {
            batch.push(ANTISPOOF.delete());
        }
        batch
    }
}
