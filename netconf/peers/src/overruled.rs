//! Routes of somebody else that the kernel prefers to ours.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::Socket;
use kernel::route::look_up;

use crate::plan::{Route, Through};
use crate::settle::{Links, Network};
use crate::sight::first_pod;
use crate::{Change, Fault, Options, Outcome, Plan};

/// Peers whose pods the kernel reaches by a route of somebody else, although ours is there: one with
/// a smaller metric, or to a part of them; their networks, and words for it.
pub fn overruled(
    socket: &Socket,
    plan: &Plan,
    changes: &[Change],
    options: &Options,
    (underlays, tunnels): &Links,
) -> Result<Vec<(IpNetwork, String)>, Error> {
    let lacking: BTreeSet<IpNetwork> = changes.iter().filter_map(destination).collect();
    let routes = plan.routes.iter().filter(|r| r.through != Through::Nowhere);
    let routes: Vec<_> = routes.filter(|route| !lacking.contains(&route.dst)).collect();
    let addresses: Vec<IpAddr> = routes.iter().map(|route| first_pod(route.dst)).collect();
    // Our number alone tells nothing: another network may use it, too.
    let ours = |route: &Route, found: Option<u32>| {
        let links = if route.through == Through::Tunnel { tunnels } else { underlays };
        let link = *links.get(route.dst.is_ipv6());
        link.is_none() || found.is_none() || link == found
    };
    let mut words = Vec::new();
    for (route, found) in std::iter::zip(routes, look_up(socket, &addresses)) {
        let by = match found? {
            Some(found) if found.protocol == options.protocol && ours(route, found.link) => {
                continue;
            }
            Some(found) => format!("the route to {} proto {}", found.dst, found.protocol),
            None => "a route that drops them".to_owned(),
        };
        words.push((route.dst, format!("packets to {} take {by}, not ours", route.dst)));
    }
    Ok(words)
}

impl Network<'_> {
    /// The same of what was reconciled, as faults of the peers.
    pub fn overruled(&self, outcome: &Outcome) -> Result<Vec<Fault>, Error> {
        let links = (outcome.underlays, outcome.tunnels);
        let socket = Socket::open()?;
        let found = overruled(&socket, &outcome.plan, &[], &self.config.options, &links)?;
        let fault = |(net, reason): (IpNetwork, String)| {
            let owner = outcome.fleet.peers.iter().find(|peer| peer.pod_cidrs.contains(&net));
            let peer = owner.map_or_else(|| net.to_string(), |peer| peer.name.clone());
            Fault { peer, reason }
        };
        Ok(found.into_iter().map(fault).collect())
    }
}

fn destination(change: &Change) -> Option<IpNetwork> {
    match change {
        Change::SetRoute(_, route) => Some(route.dst),
        Change::RemoveRoute(installed, _) => Some(installed.route.dst),
        _ => None,
    }
}
