//! CHECK: what is wanted against what the kernel has.

use kernel::Result;
use kernel::netfilter::{Attributes, Socket};

use crate::layout::{self, ANTISPOOF, GUARDED, MASQUERADE, PREROUTING};
use crate::nft::{Element, Rule, Table};
use crate::reference;
use crate::socket::with_socket;
use crate::wanted::Wanted;

/// The differences, each in words; none when all is as wanted. Masquerade and anti-spoofing that
/// the reference plugins made for the attachment count as ours.
pub fn check(wanted: &Wanted) -> Result<Vec<String>> {
    let elements = wanted.elements();
    if elements.is_empty() {
        return Ok(Vec::new());
    }
    with_socket(|socket| differences(socket, wanted, &elements))
}

fn differences(socket: &mut Socket, wanted: &Wanted, elements: &[Element]) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    let theirs = reference::made(socket, &wanted.attachment)?;
    let of_theirs = |table| if table == MASQUERADE { theirs.masquerade } else { theirs.antispoof };

    let gets: Vec<_> = elements.iter().map(|e| e.set.get(&e.key)).collect();
    let found = socket.get_all(&gets)?;
    let mut used = Vec::new();
    for (element, object) in elements.iter().zip(found) {
        let there = object.and_then(|object| Element::listed(&element.set, &object).next());
        if there.is_none() && of_theirs(element.set.table) {
            continue;
        }
        used.push(element.set.table);
        differences.extend(compare(element, there.as_ref()));
    }
    if used.contains(&MASQUERADE) {
        for group in wanted.groups() {
            chain(socket, (MASQUERADE, &group.name()), &group.rules(), &mut differences)?;
        }
    }
    if used.contains(&ANTISPOOF) {
        chain(socket, (ANTISPOOF, PREROUTING), &layout::prerouting(), &mut differences)?;
    }
    Ok(differences)
}

fn compare(element: &Element, there: Option<&Element>) -> Option<String> {
    let Element { set, key, .. } = element;
    let what = match set.table {
        MASQUERADE => format!("the masquerade of {key} (nft table inet podwire, {})", set.name),
        _ => format!("the anti-spoofing of {key} (nft table bridge podwire, {})", set.name),
    };
    let difference = element.difference(there, &what)?;
    // Of a counter depends what is exempt.
    let is_counter = *set != GUARDED && there.is_some_and(|t| t.comment == element.comment);
    Some(difference + if is_counter { ", so other destinations are exempt" } else { "" })
}

fn chain(
    socket: &mut Socket,
    (table, name): (Table, &str),
    rules: &[Vec<Attributes>],
    differences: &mut Vec<String>,
) -> Result<()> {
    let family = if table == MASQUERADE { "inet" } else { "bridge" };
    let what = format!("the chain {name} of nft table {family} {}", table.name);
    if socket.get(table.get_chain(name))?.is_none() {
        differences.push(format!("{what} is missing"));
        return Ok(());
    }
    if !Rule::are(&socket.dump(&table.rules(name))?, rules) {
        differences.push(format!("the rules of {what} have been changed"));
    }
    Ok(())
}
