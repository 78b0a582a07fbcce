//! What the options of an earlier time left and those of now would not find: routes under another protocol
//! number, the address on the kernel's own device.

use std::collections::BTreeSet;

use cni::Error;
use kernel::address::{self, host};
use kernel::link;
use kernel::{Socket, route};

use crate::backend::{BLACKHOLE_METRIC, FALLBACK, METRIC};
use crate::difference::within_any;
use crate::record::Record;
use crate::scope::Scope;
use crate::{Change, Plan};

/// The protocol numbers that a network's routes had before and do not have now.
pub fn protocols(before: &Record, protocol: u8) -> Vec<u8> {
    // A record that was never written has none.
    let all = before.former.iter().copied().chain([before.protocol]);
    all.filter(|former| *former != protocol && *former != 0)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// The changes that remove what is left. Routes that the plan has, too, are replaced by it: only the others
/// are among them.
pub fn changes(
    socket: &Socket,
    plan: &Plan,
    before: &Record,
    scope: &Scope,
    protocol: u8,
) -> Result<Vec<Change>, Error> {
    let planned: BTreeSet<_> = plan.routes.iter().map(|r| (r.dst, Some(r.metric))).collect();
    let mut changes = routes(socket, before, scope, protocol)?;
    changes.retain(|change| match change {
        Change::RemoveRoute(one, _) => !planned.contains(&(one.route.dst, one.route.priority)),
        _ => true,
    });
    let devices = plan.devices.iter().map(|device| device.name.as_str());
    if !devices.into_iter().any(|name| name == FALLBACK) {
        changes.extend(addresses(socket, before, scope)?);
    }
    Ok(changes)
}

/// Our routes under other numbers, by our metrics and by where they lead.
pub fn routes(
    socket: &Socket,
    before: &Record,
    scope: &Scope,
    protocol: u8,
) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    for former in protocols(before, protocol) {
        for ipv6 in [false, true] {
            if scope.own.iter().all(|net| net.is_ipv6() != ipv6) {
                continue;
            }
            for installed in route::of_protocol(socket, ipv6, former)? {
                let dst = installed.route.dst;
                let is_ours = within_any(dst, &scope.own)
                    && !scope.is_a_rivals(dst)
                    && matches!(installed.route.priority, Some(METRIC | BLACKHOLE_METRIC));
                if is_ours {
                    let link = installed.link.and_then(|at| link::get_by_index(socket, at).ok());
                    let link = link.flatten();
                    if link.as_ref().is_some_and(|link| scope.is_anothers_device(link)) {
                        continue;
                    }
                    let name = link.map(|link| link.name).unwrap_or_default();
                    changes.push(Change::RemoveRoute(installed, name));
                }
            }
        }
    }
    Ok(changes)
}

/// Our address on the kernel's own device, where that was the tunnel.
pub fn addresses(socket: &Socket, before: &Record, scope: &Scope) -> Result<Vec<Change>, Error> {
    if !before.devices.iter().any(|name| name == FALLBACK) {
        return Ok(Vec::new());
    }
    let Some(shared) = link::get(socket, FALLBACK)? else { return Ok(Vec::new()) };
    let has = address::list(socket, shared.index, false)?.into_iter().map(|one| one.address);
    let ours = has.filter(|one| *one == host(one.ip()) && within_any(*one, &scope.own));
    Ok(ours.map(|address| Change::RemoveAddress(shared.clone(), address)).collect())
}
