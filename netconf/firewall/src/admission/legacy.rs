//! What iptables is executed for: those who ask for it, and the gate in the tables of
//! iptables-legacy, while the kernel says that these are in use.

use std::net::IpAddr;

use kernel::Result;

use super::rules;
use super::wanted::Wanted;
use crate::iptables::{self, Iptables};

const TABLE: &str = "filter";

/// Makes an attachment's rules with the node's iptables.
pub(super) fn admit(wanted: &Wanted) -> Result<()> {
    for v6 in families(wanted) {
        let tool = Iptables::find(v6)?;
        tool.adapt(TABLE, |listing| rules::open(listing, wanted, v6))?;
    }
    Ok(())
}

/// The families whose rules an attachment wants. A policy alone is told to both.
pub(super) fn families(wanted: &Wanted) -> Vec<bool> {
    let families: Vec<bool> = wanted.families().collect();
    if families.is_empty() && wanted.policy.is_some() {
        let there = [false, true].into_iter().filter(|v6| Iptables::find(*v6).is_ok());
        return there.collect();
    }
    families
}

/// Opens the gate in the legacy tables of a family, if these are in use.
pub(super) fn open_gate(wanted: &Wanted, v6: bool) -> Result<()> {
    match in_use(v6)? {
        Some(tool) => tool.adapt(TABLE, |listing| rules::open(listing, wanted, v6)),
        None => Ok(()),
    }
}

/// What of the attachment's rules is lacking, with the node's iptables or, for the gate, in the
/// legacy tables.
pub(super) fn lacks(wanted: &Wanted, v6: bool, legacy: bool) -> Result<Vec<String>> {
    let tool = if legacy { in_use(v6)? } else { Some(Iptables::find(v6)?) };
    match tool {
        Some(tool) => Ok(rules::lacks(&tool.list(TABLE)?, wanted, v6)),
        None => Ok(Vec::new()),
    }
}

/// True when the legacy tables hold the reference plugin's rules for all of the addresses.
pub(super) fn has_bare_rules(addresses: &[IpAddr], v6: bool) -> Result<bool> {
    let Some(tool) = in_use(v6)? else { return Ok(false) };
    let listing = tool.list(TABLE)?;
    Ok(addresses.iter().all(|address| {
        listing.rules(rules::PRIVATE).any(|rule| rules::is_bare_rule(rule, *address))
    }))
}

/// Removes from the legacy tables of a family what `comment` tells to be ours, the reference
/// plugin's rules for `bare` addresses, and with `closing` the gate.
pub(super) fn del(
    v6: bool,
    closing: bool,
    comment: &dyn Fn(&str) -> bool,
    bare: &[IpAddr],
) -> Result<()> {
    if !iptables::is_legacy_in_use(v6, TABLE) {
        return Ok(());
    }
    // Without the tool there is nothing that it could have made.
    let Some(tool) = Iptables::legacy(v6, TABLE) else { return Ok(()) };
    tool.adapt(TABLE, |listing| {
        if !rules::are_in(listing) {
            return Vec::new();
        }
        let free: Vec<_> =
            bare.iter().filter(|a| !rules::is_others(listing, comment, **a)).collect();
        rules::close(listing, &|chain, rule| match iptables::comment_of(rule) {
            Some(words) if words == rules::GATE_COMMENT => closing && chain == rules::PRIVATE,
            Some(words) => comment(&words),
            None => chain == rules::PRIVATE && free.iter().any(|a| rules::is_bare_rule(rule, **a)),
        })
    })
}

/// The tool for the legacy tables of a family, if these are in use.
fn in_use(v6: bool) -> Result<Option<Iptables>> {
    if !iptables::is_legacy_in_use(v6, TABLE) {
        return Ok(None);
    }
    Iptables::legacy(v6, TABLE).map(Some).ok_or_else(|| iptables::missing(v6))
}
