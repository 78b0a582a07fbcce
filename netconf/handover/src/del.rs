//! DEL and GC: they need no valid options, and go on after errors.

use std::collections::BTreeSet;

use cni::{Attachment, Call, Code, Error, GcCall};
use devices::DeviceId;
use ipam::Ipam;
use kernel::{Netns, link};

use crate::back::back;
use crate::desk::{Desk, Survey};
use crate::journal::Entry;
use crate::record::{Owner, Record};
use crate::wanted::Sought;
use crate::{Kind, predecessor};

/// Gives the attachment's device and addresses back. Succeeds when that is done already. A device that
/// somebody else has by now is not touched.
pub fn del<K: Kind>(kind: &K, call: &Call) -> Result<(), Error> {
    let mut errors = Vec::new();
    let ipam = Ipam::of(&call.conf, &call.path).unwrap_or_else(|e| {
        errors.push(e);
        None
    });
    let (before, after) = match &ipam {
        Some(ipam) if ipam.speaks_through_interface() => (Some(ipam), None),
        other => (None, other.as_ref()),
    };
    errors.extend(before.and_then(|ipam| ipam.del(call).err()));
    errors.extend(release(kind, call));
    errors.extend(after.and_then(|ipam| ipam.del(call).err()));
    Error::all(errors)
}

fn release<K: Kind>(kind: &K, call: &Call) -> Vec<Error> {
    let attachment = &call.attachment;
    let opened = Desk::open(&call.conf, format!("DEL of {attachment}"));
    match opened.and_then(|desk| Ok((desk.survey()?, desk))) {
        Ok((Survey { mut records, damaged }, desk)) => {
            records.retain(|(_, record)| record.owner.is(attachment));
            if records.is_empty() {
                // Options that went wrong since name no device, and then there is none to inherit.
                let sought = kind.sought(call).unwrap_or_default();
                return inherit(K::NAME, &desk, call, &sought)
                    .and_then(|()| stranded(call, &damaged))
                    .err()
                    .into_iter()
                    .collect();
            }
            let mut errors = give_back(&desk, &records, |owner| owner.is(attachment));
            errors.extend(stranded(call, &damaged).err());
            errors
        }
        Err(e) => vec![e],
    }
}

/// Gives back what was handed over before our plugin took its predecessor's place.
fn inherit(kind: &str, desk: &Desk, call: &Call, sought: &Sought) -> Result<(), Error> {
    let Some(inherited) = predecessor::inherited(kind, desk, call, sought)? else { return Ok(()) };
    let id = &inherited.record.device;
    let _lock = desk.lock(id)?;
    inherited.adopt(desk)?;
    back(desk, id, &inherited.record)
}

/// Code 5 when the container has a device whose record is damaged. What it was like on the node and who
/// may have it is not known any more; but as long as the container is there, somebody can see to it.
fn stranded(call: &Call, damaged: &[(DeviceId, String)]) -> Result<(), Error> {
    let Some(path) = call.netns.as_deref().filter(|_| !damaged.is_empty()) else { return Ok(()) };
    let Some(netns) = Netns::find(path)? else { return Ok(()) };
    for link in link::list(&netns.socket()?)? {
        let is = |id: &DeviceId| match id {
            DeviceId::Link(name) => {
                link.name == name.as_str()
                    || link.alternative_names.iter().any(|other| other == name.as_str())
            }
            DeviceId::Pci(_) | DeviceId::Aux(_) => {
                link.parent_device.as_deref() == Some(id.to_string().as_str())
            }
        };
        if let Some((id, why)) = damaged.iter().find(|(id, _)| is(id)) {
            return Err(Error::new(
                Code::IO,
                format!(
                    "{id} is in the container, as {}, and its record is damaged: {why}",
                    link.name
                ),
            )
            .details(
                "move it back by hand (ip link set dev IFNAME netns 1), and remove the record",
            ));
        }
    }
    Ok(())
}

/// Gives back each of these devices that is still `theirs` when its lock is had.
fn give_back(
    desk: &Desk,
    records: &[(DeviceId, Record)],
    theirs: impl Fn(&Owner) -> bool,
) -> Vec<Error> {
    let one = |id: &DeviceId| -> Result<(), Error> {
        let _lock = desk.lock(id)?;
        match desk.journal.read(id)? {
            Entry::Whole(record) if theirs(&record.owner) => back(desk, id, &record),
            _ => Ok(()),
        }
    };
    records.iter().filter_map(|(id, _)| one(id).err()).collect()
}

/// Gives back the devices and addresses of every attachment of the network that is not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    let network = &call.conf.network;
    let valid: BTreeSet<(&str, &str)> =
        valid.iter().map(|(container, ifname)| (container.as_str(), ifname.as_str())).collect();
    let stale = |owner: &Owner| {
        owner.network == network.as_str()
            && !valid.contains(&(owner.container.as_str(), owner.ifname.as_str()))
    };
    let mut errors = Vec::new();
    let opened = Desk::open(&call.conf, format!("GC of {network}"));
    match opened.and_then(|desk| Ok((desk.survey()?.records, desk))) {
        Ok((mut records, desk)) => {
            records.retain(|(_, record)| stale(&record.owner));
            errors.extend(give_back(&desk, &records, stale));
        }
        Err(e) => errors.push(e),
    }
    match Ipam::of(&call.conf, &call.path) {
        Ok(Some(ipam)) => errors.extend(ipam.gc(call).err()),
        Ok(None) => {}
        Err(e) => errors.push(e),
    }
    Error::all(errors)
}

/// An attachment as the locks name it.
pub fn adding(attachment: &Attachment) -> String {
    format!("ADD of {attachment}")
}
