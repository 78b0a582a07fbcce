//! DEL and GC of whatever attaches by a veth: they need no valid config, and go on after errors.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::{Attachment, Call, Error, GcCall};
use ipam::Ipam;
use kernel::link::{self, Link};
use kernel::{Netns, Socket};
use serde::Deserialize;

use crate::{owner, veth};

/// Removes the attachment: the veth pair and the firewall's entries, then the leases, so that an
/// address is free only when nothing of its last holder is left. A manager that speaks through the
/// interface is told while that stands. Succeeds when it is gone already.
pub fn del(call: &Call) -> Result<(), Error> {
    let mut errors = Vec::new();
    let ipam = Ipam::of(&call.conf, &call.path).unwrap_or_else(|e| {
        errors.push(e);
        None
    });
    let mut addresses: BTreeSet<IpAddr> =
        call.prev_result.iter().flat_map(|r| &r.ips).map(|ip| ip.address.ip()).collect();
    let leases = ipam.as_ref().and_then(|ipam| ipam.leases(call));
    let known = call.prev_result.is_some() || leases.is_some();
    addresses.extend(leases.unwrap_or_default());
    let addresses: Option<Vec<_>> = known.then(|| addresses.into_iter().collect());

    let give_back = |ipam: &Ipam| ipam.del(call).err();
    let (before, after) = match &ipam {
        Some(ipam) if ipam.speaks_through_interface() => (Some(ipam), None),
        other => (None, other.as_ref()),
    };
    errors.extend(before.and_then(give_back));
    errors.extend(detach(call, addresses.as_deref()));
    errors.extend(after.and_then(give_back));
    Error::all(errors)
}

/// Removes the pair and the firewall's entries. The kernel frees the entries on its own time and
/// lets no process end before, which takes as long as the removal of a link. So they go first, and
/// are freed meanwhile; but the guard of a link stays while anything can pass it.
fn detach(call: &Call, addresses: Option<&[IpAddr]>) -> Vec<Error> {
    let attachment = &call.attachment;
    let remove_rules = |addresses: Option<&[IpAddr]>, link: Option<&str>| {
        let link = link.and_then(|name| name.parse().ok());
        Ok(firewall::del(attachment, addresses, link.as_ref())?)
    };
    let done = match find(attachment) {
        Ok((host, Some(near))) => {
            let remove_pair = || Ok(veth::remove(&host, &near)?);
            if is_guarded(call) && silence(&host, &near).is_ok() {
                vec![remove_rules(addresses, Some(&near.name)), remove_pair()]
            } else {
                // Setting the port down would cost a link's removal once more. A guard that the
                // config does not speak of any more goes after the link.
                let rules = remove_rules(addresses, None);
                let pair = remove_pair();
                let name = pair.is_ok().then_some(near.name.as_str());
                vec![rules, pair, remove_rules(Some(&[]), name)]
            }
        }
        Ok((host, None)) => {
            let pair = remove_inner(call, &host);
            let gone = pair.is_ok().then(|| owner::link_name(attachment, 0));
            vec![remove_rules(addresses, gone.as_deref()), pair]
        }
        Err(e) => vec![remove_rules(addresses, None), Err(e)],
    };
    done.into_iter().filter_map(Result::err).collect()
}

/// True when the config asks for anti-spoofing, or cannot be read.
fn is_guarded(call: &Call) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Conf {
        macspoofchk: bool,
    }
    call.conf.decode::<Conf>().map_or(true, |conf| conf.macspoofchk)
}

fn find(attachment: &Attachment) -> Result<(Socket, Option<Link>), Error> {
    let host = Socket::open()?;
    let near = veth::find(&host, attachment)?;
    Ok((host, near))
}

/// Sets a bridge's port down, so that nothing can pass it. (A port's state would do as long as the
/// container leaves its own end alone: a change of the carrier enables a disabled port again, see
/// `br_port_carrier_check`.) A routed link has no guard, and stays up: what its container sends
/// within the next moment may leave under its own address, which nobody else has yet.
fn silence(host: &Socket, near: &Link) -> kernel::Result<()> {
    if near.master.is_none() {
        return Ok(());
    }
    match host.run(link::set_down(near.index, &near.name)) {
        Err(e) if e.is_gone() => Ok(()),
        done => done,
    }
}

/// Removes a pair whose host end is not ours: one of the reference plugins.
fn remove_inner(call: &Call, host: &Socket) -> Result<(), Error> {
    let Some(path) = &call.netns else { return Ok(()) };
    match Netns::find(path)? {
        Some(netns) => Ok(veth::remove_foreign(host, &netns, &call.attachment)?),
        // Nothing can be left in a namespace that is gone.
        None => Ok(()),
    }
}

/// Removes every attachment of the network that is not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    let network = &call.conf.network;
    let mut errors = Vec::new();
    let ipam = Ipam::of(&call.conf, &call.path).unwrap_or_else(|e| {
        errors.push(e);
        None
    });
    let collect_leases = |ipam: &Ipam| ipam.gc(call).err();
    let (before, after) = match &ipam {
        Some(ipam) if ipam.speaks_through_interface() => (Some(ipam), None),
        other => (None, other.as_ref()),
    };
    errors.extend(before.and_then(collect_leases));
    errors.extend(collect_links(call).err());
    errors.extend(firewall::gc(network, valid).err().map(Error::from));
    errors.extend(after.and_then(collect_leases));
    Error::all(errors)
}

fn collect_links(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    let is_stale = owner::stale(&call.conf.network, valid);
    let host = Socket::open()?;
    let stale = link::list(&host)?
        .into_iter()
        .filter(|link| link.kind == "veth" && link.alias.as_deref().is_some_and(&is_stale));
    let errors = stale.filter_map(|link| veth::remove(&host, &link).err());
    Error::all(errors.map(Error::from).collect())
}
