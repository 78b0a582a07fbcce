//! `portmap`: ports of the node lead into the container.

mod config;
mod localnet;

use std::net::Ipv6Addr;

use attach::finding::Findings;
use attach::veth;
use cni::{AddResult, Attachment, Call, Code, Error, GcCall, StatusCall};
use firewall::ports::{self, At, Failure, Wanted, iptables};
use ipnetwork::IpNetwork;
use kernel::Socket;

use self::config::{Backend, Config};
use crate::previous;

/// Makes the mappings that the runtime asks for; without any, nothing is looked at.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::parse(&call.conf)?;
    let prev = previous(call, "portmap")?;
    let Some(wanted) = wanted(call, &conf, prev) else { return Ok(prev.clone()) };
    for mapping in &wanted.mappings {
        let loopback = mapping.at == At::One(Ipv6Addr::LOCALHOST.into());
        if loopback || !wanted.addresses.iter().any(|a| mapping.is_of(a.is_ipv6())) {
            let ifname = &call.attachment.ifname;
            cni::warn(format_args!(
                "portmap: the host port {mapping} leads nowhere: {}",
                if loopback {
                    "what is for ::1 never leaves the node".to_owned()
                } else {
                    format!("{ifname} has no address of that family")
                }
            ));
        }
    }
    localnet::enable(&wanted)?;
    let left = match &conf.backend {
        Backend::Nftables => make(&wanted)?,
        Backend::Iptables(options) => match iptables::add(&wanted, options) {
            Ok(left) => left,
            // A family may be made when the other fails.
            Err(e) => {
                let undone = ports::del(&call.attachment, Some(&wanted));
                let error = Error::from(e).details(config::told(options));
                return Err(match undone {
                    Ok(()) => error,
                    Err(left) => error.details(format!("could not be taken back: {left}")),
                });
            }
        },
    };
    if let Some(left) = left {
        cni::warn(format_args!(
            "portmap: connections from before may not find the container: {left}"
        ));
    }
    Ok(prev.clone())
}

/// Makes it by nf_tables. Who stands in the way and is gone for certain is cleared away: its DEL
/// was lost.
fn make(wanted: &Wanted) -> Result<Option<kernel::Error>, Error> {
    let mut cleared = Vec::new();
    loop {
        match ports::add(wanted) {
            Err(Failure::Taken(taken)) => {
                let Some(owner) = taken.by.filter(|owner| !cleared.contains(owner)) else {
                    return Err(taken.error);
                };
                if !is_gone(&owner, &wanted.attachment)? {
                    return Err(taken.error);
                }
                ports::del(&owner, None)?;
                cleared.push(owner);
            }
            done => return Ok(done?),
        }
    }
}

/// Whether an attachment of our own network has lost its link: where ours has one on the node, made
/// and marked by our own plugins, so had that one, until its namespace ended. (DEL removes the link
/// after the ports.)
fn is_gone(owner: &Attachment, ours: &Attachment) -> Result<bool, Error> {
    if owner.network != ours.network {
        return Ok(false);
    }
    let host = Socket::open()?;
    Ok(veth::find(&host, ours)?.is_some() && veth::find(&host, owner)?.is_none())
}

/// Removes what the attachment has, whatever the configuration says by now.
pub fn del(call: &Call) -> Result<(), Error> {
    let wanted = Config::parse(&call.conf).ok().and_then(|conf| {
        let prev = call.prev_result.as_ref()?;
        wanted(call, &conf, prev)
    });
    Ok(ports::del(&call.attachment, wanted.as_ref())?)
}

/// Compares everything that ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    let prev = previous(call, "portmap")?;
    let Some(wanted) = wanted(call, &conf, prev) else { return Ok(()) };
    let mut findings = Findings::default();
    let differences = match &conf.backend {
        Backend::Nftables => ports::check(&wanted)?,
        Backend::Iptables(options) => iptables::check(&wanted, options)?,
    };
    for difference in differences {
        findings.add(difference);
    }
    localnet::check(&wanted, &mut findings)?;
    findings.conclude(&call.attachment)
}

/// Removes the mappings of every attachment of the network that is not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    Ok(ports::gc(&call.conf.network, valid)?)
}

/// Whether ADD could make mappings.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    let (able, what) = match &conf.backend {
        Backend::Nftables => (ports::status(), "nf_tables"),
        Backend::Iptables(_) => (iptables::status(), "iptables"),
    };
    able.map_err(|e| {
        let msg = format!("{what} cannot lead ports into containers");
        Error::new(Code::NOT_AVAILABLE, msg).details(e.to_string())
    })
}

/// What is wanted; `None` when it is nothing.
fn wanted(call: &Call, conf: &Config, prev: &AddResult) -> Option<Wanted> {
    (!conf.mappings.is_empty()).then(|| Wanted {
        attachment: call.attachment.clone(),
        addresses: addresses(prev, call.attachment.ifname.as_str()),
        mappings: conf.mappings.clone(),
        snat: conf.snat,
        conditions: conf.conditions.clone(),
    })
}

/// The container's first address of either family: of the interface, or of none in particular.
fn addresses(prev: &AddResult, ifname: &str) -> Vec<IpNetwork> {
    let own = prev.ips.iter().filter(|ip| {
        let interface = ip.interface.and_then(|index| prev.interfaces.get(index));
        interface.is_none_or(|i| i.name == ifname && !i.sandbox.is_empty())
    });
    let own: Vec<_> = own.map(|ip| ip.address).collect();
    let first = |v6: bool| own.iter().copied().find(|address| address.is_ipv6() == v6);
    first(false).into_iter().chain(first(true)).collect()
}
