//! Routing tables of a container that nobody uses yet.

use std::collections::BTreeSet;
use std::time::Duration;

use cni::{Code, Error};
use kernel::{Netns, Request, Socket, link, route, rule};

/// How long another process may be at the tables of a container.
const PATIENCE: Duration = Duration::from_secs(30);
/// `RT_TABLE_DEFAULT`, `RT_TABLE_MAIN` and `RT_TABLE_LOCAL`.
pub const RESERVED: std::ops::RangeInclusive<u32> = 253..=255;

/// Keeps others from choosing tables in the container's namespace until `netns` is gone.
pub fn lock(netns: &Netns) -> kernel::Result<()> {
    netns.lock(PATIENCE)
}

/// The lowest free tables, `first` or higher: no rule leads to one, no route and no VRF is in it. The
/// namespace must be locked.
pub fn free(socket: &Socket, first: u32, count: usize) -> Result<Vec<u32>, Error> {
    let mut taken = BTreeSet::new();
    for ipv6 in [false, true] {
        taken.extend(rule::list(socket, ipv6)?.into_iter().map(|rule| rule.table));
        taken.extend(route::tables(socket, ipv6)?);
    }
    taken.extend(link::list(socket)?.into_iter().filter_map(|link| link.vrf_table));
    let is_free = |table: &u32| !RESERVED.contains(table) && !taken.contains(table);
    let free: Vec<u32> = (first..=u32::MAX).filter(is_free).take(count).collect();
    if free.len() == count {
        return Ok(free);
    }
    Err(Error::new(Code::EXHAUSTED, "no routing table of the container is free"))
}

/// Adds rules, routes and addresses. That the very same is there already is no error: two of an
/// interface's routes may ask for it.
pub fn add(socket: &Socket, requests: &[Request]) -> Result<(), Error> {
    for outcome in socket.run_all(requests) {
        match outcome {
            Err(e) if e.is_exists() => {}
            other => other?,
        }
    }
    Ok(())
}
