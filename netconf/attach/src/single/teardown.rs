//! DEL and GC: they need no valid config, no parent and no previous result, and go on after errors.

use std::collections::BTreeSet;

use cni::{Attachment, Call, ContainerId, Error, GcCall, IfName};
use ipam::Ipam;
use kernel::link::{self, Link};
use kernel::{Netns, Socket};

use super::record::{Record, Records};
use crate::{owner, veth};

/// Removes the attachment: the link, then the leases, so that an address is free only when nothing
/// of its last holder is left; where the address manager speaks through the link, the other way
/// round. Succeeds when it is gone already. `kind` is the kernel's word for the link's.
pub fn del(call: &Call, kind: &str) -> Result<(), Error> {
    let mut errors = Vec::new();
    let ipam = Ipam::of(&call.conf, &call.path).unwrap_or_else(|e| {
        errors.push(e);
        None
    });
    let give_back = |ipam: &Ipam| ipam.del(call).err();
    let (before, after) = in_order(ipam.as_ref());
    errors.extend(before.and_then(give_back));
    errors.extend(detach(call, kind).err());
    errors.extend(after.and_then(give_back));
    Error::all(errors)
}

/// The address manager as one that is told before the link goes, or after. A DHCP client gives a lease
/// back by a packet from the interface that has it.
fn in_order(ipam: Option<&Ipam>) -> (Option<&Ipam>, Option<&Ipam>) {
    match ipam {
        Some(ipam) if ipam.speaks_through_interface() => (Some(ipam), None),
        other => (None, other),
    }
}

/// Removes the link, from the namespace that DEL names and from the one that it was made in, and
/// its record.
fn detach(call: &Call, kind: &str) -> Result<(), Error> {
    let attachment = &call.attachment;
    let records = Records::or_default(&call.conf);
    if let Some(path) = &call.netns
        && let Some(netns) = Netns::find(path)?
    {
        remove(&netns.socket()?, attachment, kind)?;
    }
    if let Some(record) = records.read(attachment)
        && call.netns.as_ref() != Some(&record.netns)
    {
        remove_recorded(&record)?;
    }
    records.discard(attachment)
}

/// Removes every attachment of the network that is not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    let mut errors = Vec::new();
    let ipam = Ipam::of(&call.conf, &call.path).unwrap_or_else(|e| {
        errors.push(e);
        None
    });
    let collect_leases = |ipam: &Ipam| ipam.gc(call).err();
    let (before, after) = in_order(ipam.as_ref());
    errors.extend(before.and_then(collect_leases));
    match collect_links(call, valid) {
        Ok(failed) => errors.extend(failed),
        Err(e) => errors.push(e),
    }
    errors.extend(after.and_then(collect_leases));
    Error::all(errors)
}

/// Removes the links that are recorded and not listed, and their records. Gives what went wrong with
/// single ones.
fn collect_links(
    call: &GcCall,
    valid: &BTreeSet<(ContainerId, IfName)>,
) -> Result<Vec<Error>, Error> {
    let records = Records::of(&call.conf)?;
    let stale = records
        .list(&call.conf.network)?
        .into_iter()
        .filter(|record| !valid.contains(&(record.container.clone(), record.ifname.clone())));
    let remove = |record: Record| {
        remove_recorded(&record).and_then(|()| records.discard(&record.attachment())).err()
    };
    Ok(stale.filter_map(remove).collect())
}

fn remove_recorded(record: &Record) -> Result<(), Error> {
    match record.namespace()? {
        Some(netns) => remove(&netns.socket()?, &record.attachment(), &record.kind),
        // Nothing can be left in a namespace that is gone.
        None => Ok(()),
    }
}

fn remove(socket: &Socket, attachment: &Attachment, kind: &str) -> Result<(), Error> {
    match link::get(socket, attachment.ifname.as_str())? {
        Some(link) if belongs(&link, attachment, kind) => Ok(veth::remove(socket, &link)?),
        _ => Ok(()),
    }
}

/// True for a link that this attachment made: one that bears its mark, or one of the kind without a
/// mark of ours, as the reference plugins make them, and a process that was killed in between.
pub fn belongs(link: &Link, attachment: &Attachment, kind: &str) -> bool {
    match &link.alias {
        Some(alias) if owner::is_ours(alias) => *alias == owner::alias(attachment),
        _ => link.kind == kind,
    }
}
