//! `firewall`: the container's packets get past the node's filter, and an ingress policy keeps other
//! containers away from it.

mod config;
mod port;

use std::net::IpAddr;

use ::firewall::admission::{self, Backend, Policy, Wanted};
use attach::ability::unavailable;
use attach::finding::Findings;
use attach::undo::Undo;
use cni::{AddResult, Call, Code, Error, GcCall, IfName, StatusCall};

use self::config::Config;
use crate::previous;

/// Admits the container's addresses. The result is the previous one.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::parse(&call.conf)?;
    let prev = previous(call, "firewall")?;
    let wanted = wanted(&conf, call, prev, conf.backend())?;
    let mut undo = Undo::default();
    undo.push(|| Ok(admission::del(&call.attachment, Some(&wanted.addresses), None)?));
    let admitted = admission::add(&wanted).map_err(|e| mended(e.into(), &wanted.backend));
    match admitted.and_then(|()| port::isolate(wanted.policy.as_ref(), prev)) {
        Ok(()) => Ok(prev.clone()),
        Err(e) => Err(undo.run(e)),
    }
}

/// Removes what is the attachment's, by whatever backend and whoever made it.
pub fn del(call: &Call) -> Result<(), Error> {
    let addresses = call.prev_result.as_ref().map(addresses);
    let zone = Config::zone(&call.conf);
    Ok(admission::del(&call.attachment, addresses.as_deref(), zone.as_deref())?)
}

/// Compares everything that ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    let prev = previous(call, "firewall")?;
    let backend = match &conf.backend {
        Some(backend) => backend.clone(),
        // What there was at the time of ADD may have changed.
        None => match admission::used(&call.attachment, &addresses(prev))? {
            Some(used) => used,
            None => conf.backend(),
        },
    };
    let mut findings = Findings::default();
    let wanted = wanted(&conf, call, prev, backend)?;
    for difference in admission::check(&wanted)? {
        findings.add(difference);
    }
    port::check(wanted.policy.as_ref(), prev, &mut findings)?;
    findings.conclude(&call.attachment)
}

/// Removes what belongs to attachments of the network that are not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    Ok(admission::gc(&call.conf.network, valid)?)
}

/// Says whether an ADD could be served: the config holds together, and the backend is there.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    let backend = conf.backend();
    let status = admission::status(&backend).map_err(Error::from);
    status.map_err(|e| unavailable(mended(e, &backend)))
}

/// How to mend what stands against a backend.
fn mended(error: Error, backend: &Backend) -> Error {
    match backend {
        Backend::Nftables => error,
        Backend::Iptables => error.details("asked for by backend \"iptables\""),
        Backend::Firewalld { zone } => {
            error.details(format!("backend \"firewalld\", firewalldZone {zone:?}"))
        }
    }
}

fn wanted(conf: &Config, call: &Call, prev: &AddResult, backend: Backend) -> Result<Wanted, Error> {
    let policy = match conf.ingress {
        Some(ingress) => Some(Policy { ingress, bridge: bridge(conf, prev, &backend)? }),
        None => None,
    };
    Ok(Wanted {
        attachment: call.attachment.clone(),
        addresses: addresses(prev),
        backend,
        policy,
        admin_chain: conf.admin_chain.clone(),
    })
}

fn addresses(prev: &AddResult) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = prev.ips.iter().map(|ip| ip.address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The first interface of the previous result, which is the bridge, or the node's end of a routed
/// link.
fn bridge(conf: &Config, prev: &AddResult, backend: &Backend) -> Result<IfName, Error> {
    let policy = conf.ingress.map(admission::Ingress::as_str).unwrap_or_default();
    let refuse = |why: String| {
        Error::new(Code::CONFIG, format!("ingressPolicy {policy:?}: {why}"))
            .details("put firewall behind bridge, or leave ingressPolicy away")
    };
    let Some(first) = prev.interfaces.first() else {
        return Err(refuse("the previous result has no interfaces, so no bridge".to_owned()));
    };
    if !first.sandbox.is_empty() {
        let name = &first.name;
        return Err(refuse(format!("the first interface, {name:?}, is not the node's")));
    }
    // To iptables a name that ends in + is the beginning of names, and others need quoting.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if *backend == Backend::Iptables && !first.name.chars().all(plain) {
        let why = format!("the bridge's name, {:?}, cannot be told to iptables", first.name);
        return Err(refuse(why));
    }
    let unfit = |_| refuse(format!("the first interface's name, {:?}, is none", first.name));
    first.name.parse().map_err(unfit)
}
