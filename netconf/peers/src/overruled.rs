//! Routes of somebody else that the kernel prefers to ours.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::Socket;
use kernel::route::look_up;

use crate::plan::Through;
use crate::sight::first_pod;
use crate::{Change, Options, Plan};

/// Peers whose pods the kernel reaches by a route of somebody else, although ours is there: one with
/// a smaller metric, or to a part of them; their networks, and words for it.
pub fn overruled(
    socket: &Socket,
    plan: &Plan,
    changes: &[Change],
    options: &Options,
) -> Result<Vec<(IpNetwork, String)>, Error> {
    let lacking: BTreeSet<IpNetwork> = changes.iter().filter_map(destination).collect();
    let routes = plan.routes.iter().filter(|r| r.through != Through::Nowhere);
    let routes: Vec<_> = routes.filter(|route| !lacking.contains(&route.dst)).collect();
    let addresses: Vec<IpAddr> = routes.iter().map(|route| first_pod(route.dst)).collect();
    let mut words = Vec::new();
    for (route, found) in std::iter::zip(routes, look_up(socket, &addresses)) {
        let by = match found? {
            Some(found) if found.protocol == options.protocol => continue,
            Some(found) => format!("the route to {} proto {}", found.dst, found.protocol),
            None => "a route that drops them".to_owned(),
        };
        words.push((route.dst, format!("packets to {} take {by}, not ours", route.dst)));
    }
    Ok(words)
}

fn destination(change: &Change) -> Option<IpNetwork> {
    match change {
        Change::SetRoute(_, route) => Some(route.dst),
        Change::RemoveRoute(installed, _) => Some(installed.route.dst),
        _ => None,
    }
}
