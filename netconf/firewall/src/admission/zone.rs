//! Sources of firewalld's zones, and whose they are.

use std::io;
use std::net::IpAddr;

use kernel::{Error, Result};

use super::layout;
use super::rules::host;
use crate::firewalld::Firewalld;
use crate::nft::{Element, Key};

/// firewalld, which has to be running.
pub(super) fn firewalld() -> Result<Firewalld> {
    let down = || {
        let why = "it is not running, or not on the system's D-Bus";
        Error::new("reach", "firewalld", io::Error::other(why))
    };
    Firewalld::connect()?.ok_or_else(down)
}

pub(super) fn add(mut firewalld: Firewalld, zone: &str, addresses: &[IpAddr]) -> Result<()> {
    addresses.iter().try_for_each(|address| firewalld.add_source(zone, &host(*address)))
}

/// The sources that elements tell of, with their zones.
pub(super) fn sources<'a>(elements: impl Iterator<Item = &'a Element>) -> Vec<(String, String)> {
    elements
        .filter_map(|element| match (&element.key, element.counter.as_deref()) {
            (Key::Address(address), Some(counter)) => {
                Some((layout::zone_of(counter)?.to_owned(), host(*address)))
            }
            _ => None,
        })
        .collect()
}

/// Removes them, unless firewalld does not run, and so has forgotten them.
pub(super) fn remove(sources: &[(String, String)]) -> Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    let Some(mut firewalld) = Firewalld::connect()? else { return Ok(()) };
    sources.iter().try_for_each(|(zone, source)| firewalld.remove_source(zone, source))
}

/// Removes what there is no record of, such as the reference plugin's. Best effort.
pub(super) fn forget(zone: &str, addresses: &[IpAddr]) {
    if let Ok(Some(mut firewalld)) = Firewalld::connect() {
        for address in addresses {
            let _ = firewalld.remove_source(zone, &host(*address)); // it may never have been there
        }
    }
}

/// The addresses that are not in the zone.
pub(super) fn lacks(zone: &str, addresses: &[IpAddr]) -> Result<Vec<IpAddr>> {
    let mut firewalld = firewalld()?;
    let mut lacks = Vec::new();
    for address in addresses {
        if !firewalld.has_source(zone, &host(*address))? {
            lacks.push(*address);
        }
    }
    Ok(lacks)
}
