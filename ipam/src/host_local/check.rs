//! CHECK: the leases of the attachment are the addresses that the previous result has of our
//! ranges.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::{Call, Code, Error};

use super::add::required;
use super::conf::{Conf, Place};
use crate::store::Store;

/// Compares leases and previous result. Code 103.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Conf::of(&call.conf)?;
    let ranges = required(conf.ranges(&call.conf)?, call)?;
    let previous = call.prev_result.as_ref().ok_or_else(|| {
        Error::new(Code::CONFIG, "prevResult is missing: CHECK has nothing to compare with")
    })?;
    let place = Place::of(&call.conf)?;
    let mut store = Store::open(&place.data_dir, &call.conf.network)?;
    let held: BTreeSet<IpAddr> = match &mut store {
        Some(store) => store.held(&call.attachment)?.into_iter().map(|(a, _)| a).collect(),
        None => BTreeSet::new(),
    };
    let reported: BTreeSet<IpAddr> = previous.ips.iter().map(|ip| ip.address.ip()).collect();
    let attachment = &call.attachment;

    let mut differences = Vec::new();
    for address in &reported {
        if ranges.range_of(*address).is_none() || held.contains(address) {
            continue;
        }
        let holder = store.as_ref().map_or(Ok(None), |store| store.holder(*address))?;
        let holder = holder.map_or("nobody".to_owned(), |holder| holder.to_string());
        differences.push(format!(
            "prevResult has {address}, which is leased to {holder} and not to {attachment}"
        ));
    }
    for address in held.difference(&reported) {
        differences
            .push(format!("{address} is leased to {attachment}, and prevResult does not have it"));
    }
    if held.is_empty() && differences.is_empty() {
        differences.push(format!("no address is leased to {attachment}"));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::CHECK, differences.join("; ")).details(format!(
        "the leases are in {}",
        place.data_dir.join(call.conf.network.as_str()).display()
    )))
}
