//! ADD: a look at what there is, and one transaction.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use cni::{Attachment, Code, Error};
use kernel::netfilter::{Object, Request, Socket};

use super::group::Group;
use super::later::Later;
use super::layout::{self, EVERYBODY, PORTS};
use super::listing::{self, owner_of};
use super::remove::Removal;
use super::wanted::{Item, Mapping, Wanted};
use crate::conntrack;
use crate::nft::{self, Element, Key, Set, Table};
use crate::owner;
use crate::part::Part;
use crate::remove::ATTEMPTS;
use crate::socket::with_socket;

/// Why nothing was made.
#[derive(Debug)]
pub enum Failure {
    /// A port is another container's.
    Taken(Box<Taken>),
    /// The kernel refused.
    Kernel(kernel::Error),
}

/// A port that is another container's.
#[derive(Debug)]
pub struct Taken {
    /// Whose, where its name can be told in full.
    pub by: Option<Attachment>,
    /// Code 101, with the owner's name.
    pub error: Error,
}

impl From<kernel::Error> for Failure {
    fn from(error: kernel::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Taken(taken) => taken.error,
            Failure::Kernel(error) => error.into(),
        }
    }
}

/// Makes what is wanted, all of it or nothing. What already is as wanted stays, and what an earlier
/// ADD of the attachment made beyond that goes.
///
/// Refused, before anything is done, when a port is another container's. One that leads to an
/// address which is now this container's, in the same network, is a dead attachment's and is taken
/// over. What another interface of the same container has stays there, and is kept for later.
///
/// Connectionless traffic that found its way before is made to find it anew. Where that fails, the
/// rest stands, and the error is returned in `Ok`.
pub fn add(wanted: &Wanted) -> Result<Option<kernel::Error>, Failure> {
    if wanted.items(&Later::default()).is_empty() {
        return Ok(None);
    }
    let forsaken = with_socket(|socket| {
        let mut everything = false;
        for attempt in 1.. {
            let mut later = Later::default();
            let change = loop {
                match Change::find(socket, wanted, &mut later, everything) {
                    Ok(Some(change)) => break change,
                    Ok(None) => {}
                    Err(Failure::Kernel(error)) => return Err(error),
                    Err(taken) => return Ok(Err(taken)),
                }
            };
            let Err(refused) = socket.transact(&change.batch, change.generation) else {
                return Ok(Ok(change.forsaken));
            };
            // Somebody made or removed something between the look and the transaction, or a part
            // of the layout was removed by hand, which is then sent as a whole.
            everything |= refused.has(libc::ENOENT);
            let passing = [libc::ENOENT, libc::EEXIST, libc::ERESTART];
            if !passing.iter().any(|errno| refused.has(*errno)) || attempt >= ATTEMPTS {
                return Err(refused.into());
            }
        }
        Ok(Ok(Vec::new()))
    })??;
    let forgotten = with_socket(|socket| {
        let ports = conntrack::forget_ports(socket, wanted);
        ports.and(conntrack::forget_destinations(socket, &forsaken))
    });
    Ok(forgotten.err())
}

/// The parts of the layout that the mappings depend on.
fn parts(groups: &[Group]) -> Vec<Part<'_>> {
    let base = layout::chains().into_iter().map(|(chain, _, _, rules)| {
        let create = || layout::table(PORTS);
        Part { table: PORTS, chain: chain.to_owned(), rules, create: Box::new(create) }
    });
    let groups = groups.iter().flat_map(|group| {
        let part = move |(chain, rules)| {
            let create = move || group.create(PORTS);
            Part { table: PORTS, chain, rules, create: Box::new(create) }
        };
        group.chains().into_iter().map(part)
    });
    base.chain(groups).collect()
}

/// What has to be sent.
struct Change {
    batch: Vec<Request>,
    /// What it depends on, where it does: that nothing else has changed meanwhile.
    generation: Option<u32>,
    /// Where elements that are replaced led.
    forsaken: Vec<SocketAddr>,
}

/// What is there in the place of a wanted element.
enum Holder {
    Nobody,
    Us,
    /// Another interface of the same container.
    Sibling,
    /// Somebody whose address is ours now.
    Dead,
    Other(String),
}

impl Change {
    /// `None` where something has to be put off for `later`, and is now.
    fn find(
        socket: &mut Socket,
        wanted: &Wanted,
        later: &mut Later,
        everything: bool,
    ) -> Result<Option<Self>, Failure> {
        let owner = wanted.owner();
        let (items, groups) = (wanted.items(later), wanted.groups(later));
        let parts = parts(&groups);
        let attachments = layout::attachments(PORTS);
        let Some(digest) = layout::digest(&owner) else {
            let error = Error::new(Code::INTERNAL, "a digest is not a name");
            return Err(Failure::Taken(Box::new(Taken { by: None, error })));
        };
        let mut gets = vec![nft::generation(), attachments.get(&digest)];
        gets.extend(parts.iter().map(|part| PORTS.get_chain(&part.chain)));
        gets.extend(items.iter().map(|item| item.element.set.get(&item.element.key)));
        let overlaps: Vec<_> = items.iter().filter_map(Overlap::of).collect();
        gets.extend(overlaps.iter().map(Overlap::get));
        let mut found = socket.get_all(&gets)?.into_iter();
        let generation = found.next().flatten().as_ref().and_then(nft::generation_of);
        let own = found.next().flatten();
        let own = own.and_then(|object| Element::listed(&attachments, &object).next());

        let mut batch = Vec::new();
        for (part, chain) in parts.iter().zip(found.by_ref()) {
            if everything || chain.is_none() || !part.is_whole(socket)? {
                batch.extend((part.create)());
            }
        }
        let mut removed = Vec::new();
        let mut inserted = Vec::new();
        let (mut count, mut had) = (0_usize, 0_usize);
        let mut put_off = false;
        for (item, object) in items.iter().zip(found.by_ref()) {
            let there =
                object.and_then(|object| Element::listed(&item.element.set, &object).next());
            let holder = wanted.holder(there.as_ref(), &owner);
            had += usize::from(matches!(holder, Holder::Us) && !item.companion);
            match holder {
                Holder::Sibling => {
                    put_off |= later.put_off(item);
                    continue;
                }
                // Others' are of containers whose first interface has left.
                Holder::Other(_) if item.level > 0 => {
                    put_off |= later.put_off(item);
                    continue;
                }
                // A port at one address is in two maps, of which the other one has been judged.
                Holder::Other(other) if !item.companion && !is_specific(&item.element.set) => {
                    return Err(taken(item, &other));
                }
                _ => count += usize::from(!item.companion),
            }
            if there.as_ref() == Some(&item.element) {
                continue;
            }
            removed.extend(there);
            inserted.push(item.element.clone());
        }
        if put_off {
            return Ok(None);
        }
        for (overlap, object) in overlaps.iter().zip(found) {
            if let Some(conflict) = overlap.conflict(socket, wanted, &owner, object)? {
                return Err(conflict);
            }
        }
        let had_all = own.as_ref().is_none_or(|own| {
            owner_of(own) == owner && own.comment.split(' ').nth(1) == Some(&had.to_string())
        });
        if !had_all {
            let all = listing::all(socket, &|of| of == owner)?;
            let surplus = all.into_iter().filter(|e| {
                e.set != attachments
                    && !items.iter().any(|i| i.element.set == e.set && i.element.key == e.key)
            });
            removed.extend(surplus);
        }
        let comment = format!("{owner} {count}");
        let counter = Some(EVERYBODY.to_owned());
        let element = Element { set: attachments, key: digest, counter, to: None, comment };
        if own.as_ref() != Some(&element) {
            removed.extend(own);
            inserted.push(element);
        }

        let mut kept_groups: BTreeSet<String> = groups.iter().map(Group::name).collect();
        kept_groups.extend(inserted.iter().filter_map(|e| e.counter.clone()));
        let ports = inserted.iter().filter(|e| is_specific(&e.set));
        let ports = ports.filter_map(|e| e.counter.clone());
        batch.extend(ports.flat_map(|name| Group::Port(name).create(PORTS)));
        if !removed.is_empty() {
            let kept = |set: &Set, key: &Key| {
                items.iter().any(|i| i.element.set == *set && i.element.key == *key)
            };
            batch.extend(Removal::find(socket, &removed, &kept, &kept_groups)?.batch(true));
        }
        batch.extend(inserted.iter().map(Element::insert));
        let conditional = !removed.is_empty() || items.iter().any(|i| is_specific(&i.element.set));
        let forsaken = removed.iter().filter_map(|e| e.to).collect();
        Ok(Some(Self { batch, generation: generation.filter(|_| conditional), forsaken }))
    }
}

fn is_specific(set: &Set) -> bool {
    [false, true].iter().any(|v6| *set == layout::specific(PORTS, *v6))
}

impl Wanted {
    fn holder(&self, there: Option<&Element>, owner: &str) -> Holder {
        let Some(there) = there else { return Holder::Nobody };
        let other = owner_of(there);
        if other.is_empty() || other == owner {
            return Holder::Us;
        }
        if owner::container_of(other) == owner::container_of(owner) {
            return Holder::Sibling;
        }
        let address = match (there.to, &there.key) {
            (Some(to), _) => Some(to.ip()),
            (None, Key::Address(address)) => Some(*address),
            _ => None,
        };
        let ours = address.is_some_and(|a| self.addresses.iter().any(|own| own.ip() == a));
        // An address by itself is ours if IPAM says so, whatever network it was of.
        let same_network = owner::network_of(other) == owner::network_of(owner);
        if ours && (same_network || there.to.is_none()) {
            return Holder::Dead;
        }
        Holder::Other(other.to_owned())
    }

    /// Whether an owner stands in our way, as a living stranger.
    fn is_stranger(&self, there: &Element, owner: &str) -> Option<String> {
        match self.holder(Some(there), owner) {
            Holder::Other(other) => Some(other),
            _ => None,
        }
    }
}

/// A mapping that another one could overlap without being at the same place.
struct Overlap {
    mapping: Mapping,
    v6: bool,
}

impl Overlap {
    fn of(item: &Item) -> Option<Self> {
        let to = item.element.to?;
        item.mapping.map(|mapping| Self { mapping, v6: to.is_ipv6() })
    }

    /// For a port at one address: whoever has it at all. For a port at all addresses: how many
    /// have it at one.
    fn get(&self) -> Request {
        match self.mapping.address() {
            Some(_) => layout::ports(PORTS, self.v6).get(&self.key()),
            None => PORTS.get_counter(&self.counter()),
        }
    }

    fn key(&self) -> Key {
        Key::Port(self.mapping.protocol.number(), self.mapping.host_port)
    }

    fn counter(&self) -> String {
        Group::port(&self.mapping, self.v6).name()
    }

    fn conflict(
        &self,
        socket: &mut Socket,
        wanted: &Wanted,
        owner: &str,
        found: Option<Object>,
    ) -> kernel::Result<Option<Failure>> {
        let Some(object) = found else { return Ok(None) };
        if self.mapping.address().is_some() {
            let there = Element::listed(&layout::ports(PORTS, self.v6), &object).next();
            let other = there.and_then(|there| wanted.is_stranger(&there, owner));
            let how = "at all addresses";
            return Ok(other.map(|other| refuse(&self.mapping, how, &other)));
        }
        if Table::users(&object).unwrap_or_default() == 0 {
            return Ok(None);
        }
        // Only now is it worth a look at all.
        let set = layout::addresses(PORTS, self.v6);
        let all = listing::of_set(socket, &set, &|of| of != owner)?;
        let strange = all.iter().find_map(|there| match &there.key {
            Key::AddressAndPort(address, protocol, port)
                if Key::Port(*protocol, *port) == self.key() =>
            {
                wanted.is_stranger(there, owner).map(|other| (format!("at {address}"), other))
            }
            _ => None,
        });
        Ok(strange.map(|(how, other)| refuse(&self.mapping, &how, &other)))
    }
}

fn taken(item: &Item, other: &str) -> Failure {
    if let Some(mapping) = &item.mapping {
        return refuse(mapping, "", other);
    }
    let msg = format!("{} of nft table inet podwire-ports is {other}'s", item.element.key);
    taken_by(other, Error::new(Code::CONFLICT, msg))
}

fn refuse(mapping: &Mapping, how: &str, other: &str) -> Failure {
    let space = if how.is_empty() { "" } else { " " };
    let msg = format!("the host port {mapping} is taken by {other}{space}{how}");
    let error = Error::new(Code::CONFLICT, msg).details(
        "that is network/container/interface, by runtimeConfig.portMappings; if the container is \
         gone, DEL its attachment or GC its network",
    );
    taken_by(other, error)
}

fn taken_by(other: &str, error: Error) -> Failure {
    Failure::Taken(Box::new(Taken { by: owner::attachment(other), error }))
}
