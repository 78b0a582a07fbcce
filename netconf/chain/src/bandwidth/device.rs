//! The IFB device of an attachment.

use attach::owner;
use cni::{Attachment, Call, Code, Error};
use kernel::Socket;
use kernel::link::{self, Link};
use sha2::{Digest as _, Sha512};

/// What the names begin with, as in the reference.
const PREFIX: &str = "bwp";
/// How many hexadecimal digits follow.
const DIGITS: usize = 12;

/// The device's name. The reference's key has no interface in it, so that two interfaces of a container in
/// one network would share one.
fn name(attachment: &Attachment) -> String {
    hashed(&format!("{}{}/{}", attachment.network, attachment.container, attachment.ifname))
}

fn hashed(key: &str) -> String {
    use std::fmt::Write as _;
    let digits = Sha512::digest(key.as_bytes());
    let mut name = digits.iter().fold(PREFIX.to_owned(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    });
    name.truncate(PREFIX.len() + DIGITS);
    name
}

/// The device, where there is one.
pub fn find(host: &Socket, attachment: &Attachment) -> kernel::Result<Option<Link>> {
    let found = link::get(host, &name(attachment))?.filter(|link| link.kind == "ifb");
    let alias = owner::alias(attachment);
    // A process that was killed between making and marking it leaves no alias.
    Ok(found.filter(|link| link.alias.as_ref().is_none_or(|own| *own == alias)))
}

/// The device that the reference made for the container, where it may be this attachment's: the previous
/// result names it, or there is none.
pub fn of_reference(host: &Socket, call: &Call) -> kernel::Result<Option<Link>> {
    let Attachment { network, container, .. } = &call.attachment;
    let name = hashed(&format!("{network}{container}"));
    let named = |result: &cni::AddResult| result.interfaces.iter().any(|i| i.name == name);
    if !call.prev_result.as_ref().is_none_or(named) {
        return Ok(None);
    }
    let found = link::get(host, &name)?;
    Ok(found.filter(|link| link.kind == "ifb" && link.alias.is_none()))
}

/// Makes the device, up and marked as ours, or takes the one that an earlier ADD left. True when it is new.
pub fn make(host: &Socket, attachment: &Attachment, mtu: u32) -> Result<(Link, bool), Error> {
    let name = name(attachment);
    let made = host.run(link::create_ifb(&name, mtu));
    let new = match made {
        Ok(()) => true,
        Err(e) if e.is_exists() => false,
        Err(e) => return Err(e.into()),
    };
    let finish = || {
        let found = if new { link::get(host, &name)? } else { find(host, attachment)? };
        let Some(device) = found else {
            return Err(Error::new(
                Code::CONFLICT,
                format!("{name}, the name of the IFB device of {attachment}, is taken"),
            ));
        };
        let mut requests = vec![link::set_alias(&name, &owner::alias(attachment))];
        if !new {
            requests.push(link::set_mtu(device.index, &name, mtu));
            requests.push(link::set_up(device.index, &name));
        }
        let outcome: Result<(), _> = host.run_all(&requests).into_iter().collect();
        outcome?;
        Ok(Link { mtu, up: true, ..device })
    };
    let outcome = finish();
    if outcome.is_err() && new {
        // It is there, but not as wanted.
        let _ = host.run(link::delete_by_name(&name));
    }
    Ok((outcome?, new))
}

/// Removes a device, which may be gone.
pub fn remove(host: &Socket, device: &Link) -> kernel::Result<()> {
    match host.run(link::delete(device.index, &device.name)) {
        Err(e) if e.is_gone() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_differ_by_interface() {
        let of = |ifname: &str| Attachment {
            network: "net".parse().unwrap(),
            container: "pod-1".parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        };
        assert_eq!(name(&of("eth0")).len(), 15);
        assert!(name(&of("eth0")).starts_with("bwp"));
        assert_ne!(name(&of("eth0")), name(&of("eth1")));
        // printf netpod-1 | sha512sum
        assert_eq!(hashed("netpod-1"), "bwp4ff8982b6c35");
    }
}
