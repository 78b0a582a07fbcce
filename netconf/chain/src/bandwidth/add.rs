//! ADD: the container's limits are set, or changed.

use attach::ends::{Ends, interface};
use attach::undo::Undo;
use cni::{AddResult, Call, Code, Error};
use kernel::Socket;
use kernel::link::Link;
use kernel::tc;

use super::config::Config;
use super::{PRIORITY, device};
use crate::previous::{inside, peer, previous};

/// Sets the limits. When a step fails, those before it are taken back.
pub fn add(call: &Call) -> Result<AddResult, Error> {
    let conf = Config::parse(&call.conf)?;
    let mut result = previous(call, "bandwidth")?.clone();
    if conf.is_empty() {
        return Ok(result);
    }
    let ends = Ends::open(call)?;
    let near = near_end(&ends)?;
    let mut undo = Undo::default();
    match limit(&conf, &ends, &near, &mut undo) {
        Ok(Some(device)) => {
            result.interfaces.retain(|i| i.name != device.name || !i.sandbox.is_empty());
            result.interfaces.push(interface(&device, ""));
            Ok(result)
        }
        Ok(None) => Ok(result),
        Err(e) => Err(undo.run(e)),
    }
}

/// The node's end of the container's interface. Code 7 when it has none.
pub fn near_end(ends: &Ends<'_>) -> Result<Link, Error> {
    let far = inside(ends)?;
    peer(ends, &far)?.ok_or_else(|| {
        Error::new(
            Code::CONFIG,
            format!("bandwidth: {} in {} has no end on the node", ends.ifname(), ends.sandbox()),
        )
        .details("only a veth, as bridge and ptp make it, can be limited")
    })
}

/// Sets what is wanted and gives the IFB device, where there is to be one.
fn limit<'a>(
    conf: &Config,
    ends: &'a Ends<'_>,
    near: &Link,
    undo: &mut Undo<'a>,
) -> Result<Option<Link>, Error> {
    let host = &ends.host;
    if let Some(ingress) = conf.ingress {
        if !is_limited(host, near)? {
            let link = near.clone();
            undo.push(move || gone_is_fine(host.run(tc::delete_root(&link))));
        }
        host.run(ingress.set(near))?;
    }
    let Some(egress) = conf.egress else { return Ok(None) };
    let (device, new) = device::make(host, &ends.call.attachment, near.mtu)?;
    if new {
        let link = device.clone();
        undo.push(move || Ok(device::remove(host, &link)?));
    }
    host.run(egress.set(&device))?;
    redirect(host, near, &device, undo)?;
    Ok(Some(device))
}

/// True when a link has a token bucket filter of ours or of the reference. Code 101 when it has
/// something else that somebody asked for.
fn is_limited(host: &Socket, link: &Link) -> Result<bool, Error> {
    match tc::root(host, link)? {
        Some(root) if root.kind == "tbf" => Ok(true),
        Some(root) if root.handle != 0 => Err(Error::new(
            Code::CONFLICT,
            format!(
                "{} has the queueing discipline {} {:x}: already",
                link.name,
                root.kind,
                root.handle >> 16
            ),
        )
        .details(format!("see `tc qdisc show dev {}`; it is not replaced", link.name))),
        _ => Ok(false),
    }
}

/// Has what comes in by `near` redirected to the device, beside the filters of others.
fn redirect<'a>(
    host: &'a Socket,
    near: &Link,
    device: &Link,
    undo: &mut Undo<'a>,
) -> Result<(), Error> {
    let link = near.clone();
    match host.run(tc::create_classifier(near)) {
        Ok(()) => undo.push(move || gone_is_fine(host.run(tc::delete_classifier(&link)))),
        // Somebody else's place for filters, or one of an earlier ADD.
        Err(e) if e.is_exists() || e.errno() == libc::EBUSY => {
            let filters = tc::filters(host, near)?;
            let ours: Vec<_> = filters.iter().filter(|f| f.priority == PRIORITY).collect();
            if ours.iter().any(|f| f.redirects_to == Some(device.index)) {
                return Ok(());
            }
            if !ours.is_empty() {
                host.run(tc::delete_filters(near, PRIORITY))?;
            }
            undo.push(move || gone_is_fine(host.run(tc::delete_filters(&link, PRIORITY))));
        }
        Err(e) => return Err(e.into()),
    }
    Ok(host.run(tc::redirect(near, PRIORITY, device))?)
}

fn gone_is_fine(outcome: kernel::Result<()>) -> Result<(), Error> {
    match outcome {
        Err(e) if !e.is_gone() && e.errno() != libc::EINVAL => Err(e.into()),
        _ => Ok(()),
    }
}
