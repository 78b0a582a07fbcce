//! DEL and GC of whatever attaches by a veth: they need no valid config, and go on after errors.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::{Attachment, Call, Error, GcCall};
use ipam::Ipam;
use kernel::link;
use kernel::{Netns, Socket};

use crate::{owner, veth};

/// Removes the attachment: the veth pair, the firewall's entries, the leases, in this order, so
/// that an address is free only when nothing of its last holder is left. Succeeds when it is gone
/// already.
pub fn del(call: &Call) -> Result<(), Error> {
    let mut errors = Vec::new();
    let ipam = Ipam::of(&call.conf, &call.path).unwrap_or_else(|e| {
        errors.push(e);
        None
    });
    let mut addresses: BTreeSet<IpAddr> =
        call.prev_result.iter().flat_map(|r| &r.ips).map(|ip| ip.address.ip()).collect();
    addresses.extend(ipam.as_ref().map(|ipam| ipam.leases(call)).unwrap_or_default());
    let addresses: Vec<_> = addresses.into_iter().collect();

    errors.extend(remove_pair(call).err());
    errors.extend(remove_rules(&call.attachment, &addresses).err());
    errors.extend(ipam.and_then(|ipam| ipam.del(call).err()));
    Error::all(errors)
}

fn remove_pair(call: &Call) -> Result<(), Error> {
    let host = Socket::open()?;
    let netns = match &call.netns {
        // Nothing can be left in a namespace that is gone.
        Some(path) => Netns::find(path)?,
        None => None,
    };
    Ok(veth::remove_pair(&host, netns.as_ref(), &call.attachment)?)
}

/// Also what the reference plugins made, on a node that ran them before.
fn remove_rules(attachment: &Attachment, addresses: &[IpAddr]) -> Result<(), Error> {
    let link = owner::link_name(attachment, 0).parse().ok();
    Ok(firewall::del(attachment, addresses, link.as_ref())?)
}

/// Removes every attachment of the network that is not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    let network = &call.conf.network;
    let mut errors = Vec::new();
    errors.extend(collect_links(call).err());
    errors.extend(firewall::gc(network, valid).err().map(Error::from));
    match Ipam::of(&call.conf, &call.path) {
        Ok(Some(ipam)) => errors.extend(ipam.gc(call).err()),
        Ok(None) => {}
        Err(e) => errors.push(e),
    }
    Error::all(errors)
}

fn collect_links(call: &GcCall) -> Result<(), Error> {
    let network = &call.conf.network;
    let keep: BTreeSet<String> = call
        .valid
        .iter()
        .flatten()
        .map(|(container, ifname)| {
            owner::alias(&Attachment {
                network: network.clone(),
                container: container.clone(),
                ifname: ifname.clone(),
            })
        })
        .collect();
    let host = Socket::open()?;
    let stale = link::list(&host)?.into_iter().filter(|link| {
        link.alias.as_ref().is_some_and(|a| owner::is_of_network(a, network) && !keep.contains(a))
    });
    let errors = stale.filter_map(|link| veth::remove(&host, &link).err());
    Error::all(errors.map(Error::from).collect())
}
