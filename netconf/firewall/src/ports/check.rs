//! CHECK: what is wanted against what the kernel has.

use kernel::Result;
use kernel::netfilter::Socket;

use super::later::Later;
use super::layout::{self, EVERYBODY, PORTS};
use super::listing::owner_of;
use super::reference;
use super::wanted::Wanted;
use crate::nft::{Element, Rule};
use crate::owner;
use crate::socket::with_socket;

/// The differences, each in words; none when all is as wanted. What the reference plugin made for
/// the attachment counts as ours.
pub fn check(wanted: &Wanted) -> Result<Vec<String>> {
    if wanted.items(&Later::default()).is_empty() {
        return Ok(Vec::new());
    }
    with_socket(|socket| differences(socket, wanted))
}

fn differences(socket: &mut Socket, wanted: &Wanted) -> Result<Vec<String>> {
    let later = Later::find(socket, wanted)?;
    let (items, owner) = (wanted.items(&later), wanted.owner());
    let attachments = layout::attachments(PORTS);
    let Some(digest) = layout::digest(&owner) else { return Ok(Vec::new()) };
    let mut gets = vec![attachments.get(&digest)];
    gets.extend(items.iter().map(|item| item.element.set.get(&item.element.key)));
    let mut found = socket.get_all(&gets)?.into_iter();
    let own = found.next().flatten();
    if own.is_none() && reference::made(socket, &wanted.attachment)? {
        return Ok(Vec::new());
    }
    let mut differences = Vec::new();
    let mut count = 0_usize;
    for (item, object) in items.iter().zip(found) {
        let element = &item.element;
        let there = object.and_then(|object| Element::listed(&element.set, &object).next());
        let place =
            format!("{} of nft table inet podwire-ports, {}", element.key, element.set.name);
        let of_sibling = |there: &Element| {
            let other = owner_of(there);
            !item.companion
                && item.home.is_none()
                && other != owner
                && owner::container_of(other) == owner::container_of(&owner)
        };
        if there.as_ref().is_some_and(of_sibling) {
            continue;
        }
        count += usize::from(!item.companion);
        match there {
            None => differences.push(format!("{place} is missing")),
            Some(there) if there == *element => {}
            Some(there) if there.comment != element.comment => differences.push(format!(
                "{place} belongs to {:?}, not to {:?}",
                there.comment, element.comment
            )),
            Some(there) => differences.push(format!(
                "{place} leads to {} instead of {}",
                target(&there),
                target(element)
            )),
        }
    }
    let comment = format!("{owner} {count}");
    let counter = Some(EVERYBODY.to_owned());
    let element = Element { set: attachments.clone(), key: digest, counter, to: None, comment };
    let own = own.and_then(|object| Element::listed(&attachments, &object).next());
    if own.as_ref() != Some(&element) {
        differences.push(format!(
            "the map attachments of nft table inet podwire-ports has {:?} instead of {:?}",
            own.map(|own| own.comment).unwrap_or_default(),
            element.comment
        ));
    }
    let base = layout::chains().into_iter().map(|(chain, _, _, rules)| (chain.to_owned(), rules));
    let groups = wanted.groups(&later);
    for (chain, rules) in base.chain(groups.iter().flat_map(super::group::Group::chains)) {
        if socket.get(PORTS.get_chain(&chain))?.is_none() {
            differences
                .push(format!("the chain {chain} of nft table inet podwire-ports is missing"));
        } else if !Rule::are(&socket.dump(&PORTS.rules(&chain))?, &rules) {
            differences.push(format!(
                "the rules of the chain {chain} of nft table inet podwire-ports have been changed"
            ));
        }
    }
    Ok(differences)
}

fn target(element: &Element) -> String {
    let to = element.to.map(|to| to.to_string());
    to.or_else(|| element.counter.clone()).unwrap_or_else(|| "nothing".to_owned())
}
