//! CHECK: what is wanted against what there is.

use kernel::Result;
use kernel::netfilter::Socket;

use super::gate::Gate;
use super::wanted::{Backend, Wanted};
use super::{layout, legacy, zone};
use crate::iptables;
use crate::nft::{Element, Key, expression};
use crate::part::Part;
use crate::socket::with_socket;

/// The differences, each in words; none when all is as wanted. What the reference plugin made for
/// the addresses counts as ours, but for its ingress policies.
pub fn check(wanted: &Wanted) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    match &wanted.backend {
        Backend::Iptables => {
            for v6 in legacy::families(wanted) {
                differences.extend(legacy::lacks(wanted, v6, false)?);
            }
            return Ok(differences);
        }
        Backend::Firewalld { zone } => {
            for address in zone::lacks(zone, &wanted.addresses)? {
                let why = "a reload of firewalld forgets what was added while it ran";
                differences.push(format!("firewalld's zone {zone} lacks {address}: {why}"));
            }
        }
        Backend::Nftables => {}
    }
    let elements = wanted.elements();
    if !elements.is_empty() {
        differences.extend(with_socket(|socket| native(socket, wanted, &elements))?);
    }
    Ok(differences)
}

fn native(socket: &mut Socket, wanted: &Wanted, elements: &[Element]) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    let common = wanted.common();
    let all: Vec<_> = elements.iter().chain(&common).collect();
    let gets: Vec<_> = all.iter().map(|e| e.set.get(&e.key)).collect();
    let mut used = false;
    let mut theirs = Vec::new();
    for (element, object) in all.into_iter().zip(socket.get_all(&gets)?) {
        let there = object.and_then(|object| Element::listed(&element.set, &object).next());
        if there.is_none() && is_reference(socket, element)? {
            theirs.push(element);
            continue;
        }
        used = true;
        differences.extend(compare(element, there.as_ref()));
    }
    if !used {
        return Ok(differences);
    }
    for part in layout::parts() {
        differences.extend(changed(socket, &part)?);
    }
    if wanted.backend == Backend::Nftables {
        for v6 in wanted.families() {
            let all_theirs =
                elements.iter().filter(|e| of_family(e, v6)).all(|e| theirs.contains(&e));
            if !all_theirs {
                differences.extend(Gate::look(socket, v6)?.lacks(&wanted.admin_chain));
                differences.extend(legacy::lacks(wanted, v6, true)?);
            }
        }
    }
    Ok(differences)
}

fn of_family(element: &Element, v6: bool) -> bool {
    matches!(element.key, Key::Address(address) if address.is_ipv6() == v6)
}

/// True for an admitted address for which the reference plugin has made both of its rules.
fn is_reference(socket: &mut Socket, element: &Element) -> Result<bool> {
    let Key::Address(address) = element.key else { return Ok(false) };
    let v6 = address.is_ipv6();
    if element.set != *layout::admitted(v6) {
        return Ok(false);
    }
    let bytes = expression::bytes(address);
    let gate = Gate::look(socket, v6)?;
    let rules = gate.private().filter(|rule| {
        rule.target().is_none() && expression::compares_with(rule.expressions, &bytes)
    });
    if rules.count() >= 2 {
        return Ok(true);
    }
    if iptables::is_legacy_in_use(v6, "filter") {
        return legacy::has_bare_rules(&[address], v6);
    }
    Ok(false)
}

fn compare(element: &Element, there: Option<&Element>) -> Option<String> {
    let Element { set, key, .. } = element;
    element
        .difference(there, &format!("{key} in {} of nft table inet {}", set.name, set.table.name))
}

fn changed(socket: &mut Socket, part: &Part<'_>) -> Result<Option<String>> {
    let what = format!("chain {} of nft table inet {}", part.chain, part.table.name);
    if socket.get(part.table.get_chain(&part.chain))?.is_none() {
        return Ok(Some(format!("the {what} is missing")));
    }
    if part.is_whole(socket)? {
        return Ok(None);
    }
    Ok(Some(format!("the rules of {what} have been changed")))
}
