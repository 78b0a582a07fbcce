//! Routes: which are lacking or differ, and which of ours nobody wants.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use kernel::link::Link;
use kernel::route::{Installed, Kind, Route};

use super::{Have, Steps, within_any};
use crate::plan::{self, Through};
use crate::{Change, Options, Plan};

/// `RTPROT_KERNEL`: made by the kernel itself, for an address or a prefix.
const PROTOCOL_KERNEL: u8 = 2;

/// What the kernel takes for a route's identity when it replaces one in a table.
type Key = (IpNetwork, u32);

/// Compares.
pub fn compare(
    plan: &Plan,
    have: &Have,
    options: &Options,
    domain: &[IpNetwork],
    steps: &mut Steps,
) {
    let links = Links { have, own: !options.backend.is_fallback() };
    let mut wanted: BTreeMap<Key, Wanted<'_>> = plan
        .routes
        .iter()
        .filter_map(|route| links.wanted(route, options.protocol))
        .map(|wanted| (key(&wanted.route), wanted))
        .collect();
    let ours = |installed: &Installed| {
        let Installed { link, route } = installed;
        link.is_some_and(|link| links.is_own_tunnel(link)) && route.protocol != PROTOCOL_KERNEL
            || route.protocol == options.protocol && within_any(route.dst, domain)
    };
    let remove =
        |installed: &Installed| Change::RemoveRoute(installed.clone(), links.name(installed.link));

    let mut differing: BTreeMap<Key, Vec<&Installed>> = BTreeMap::new();
    for installed in &have.routes {
        let key = key(&installed.route);
        if let Some(right) = wanted.get_mut(&key).filter(|wanted| wanted.is(installed)) {
            right.installed = true;
            continue;
        }
        let ours = ours(installed);
        let any_metric = (key.0, 0)..=(key.0, u32::MAX);
        if wanted.contains_key(&key) {
            differing.entry(key).or_default().push(installed);
        } else if ours && wanted.range(any_metric).next().is_some() {
            steps.replaced.push(remove(installed));
        } else if ours {
            steps.lost.push(remove(installed));
        }
    }
    for (key, others) in &differing {
        let Some(wanted) = wanted.get_mut(key) else { continue };
        // Of several with one identity the kernel replaces the first and leaves the others, which
        // it may prefer later on. It removes by less than is compared here and may take the right
        // one: that is then set again.
        let spared = usize::from(!wanted.installed);
        let obsolete = others.iter().filter(|installed| ours(installed)).skip(spared);
        let before = steps.lost.len();
        steps.lost.extend(obsolete.map(|installed| remove(installed)));
        wanted.installed &= steps.lost.len() == before;
    }
    let missing = wanted.into_values().filter(|wanted| !wanted.installed);
    steps.routes.extend(missing.map(|wanted| Change::SetRoute(wanted.link.cloned(), wanted.route)));
}

fn key(route: &Route) -> Key {
    // What the kernel sets where no metric is told (net/ipv6/route.c, `IP6_RT_PRIO_USER`).
    let untold = if route.dst.is_ipv6() { 1024 } else { 0 };
    (route.dst, route.priority.unwrap_or(untold))
}

/// A planned route with its link.
struct Wanted<'h> {
    link: Option<&'h Link>,
    route: Route,
    /// It is there.
    installed: bool,
}

impl Wanted<'_> {
    /// True when it is installed; destination and metric agree already.
    fn is(&self, installed: &Installed) -> bool {
        let Installed { link, route: has } = installed;
        let wanted = &self.route;
        *link == self.link.map(|link| link.index)
            && has.gw == wanted.gw
            && has.onlink == wanted.onlink
            && has.mtu == wanted.mtu
            && has.kind == wanted.kind
            && has.protocol == wanted.protocol
    }
}

/// The links that routes go through.
struct Links<'h> {
    have: &'h Have,
    /// The tunnel devices are ours alone.
    own: bool,
}

impl<'h> Links<'h> {
    /// The route as the kernel knows it; `None` while its link does not exist.
    fn wanted(&self, route: &plan::Route, protocol: u8) -> Option<Wanted<'h>> {
        let ipv6 = route.dst.is_ipv6();
        let link = match route.through {
            Through::Underlay => Some(self.have.underlays.get(ipv6).as_ref()?),
            Through::Tunnel => Some(&self.have.tunnels.get(ipv6).as_ref()?.link),
            Through::Nowhere => None,
        };
        let route = Route {
            gw: route.gw,
            mtu: route.mtu,
            priority: Some(route.metric),
            kind: if link.is_some() { Kind::Unicast } else { Kind::Blackhole },
            protocol,
            onlink: route.onlink,
            ..Route::to(route.dst)
        };
        Some(Wanted { link, route, installed: false })
    }

    fn tunnels(&self) -> impl Iterator<Item = &'h Link> {
        let Have { tunnels, .. } = self.have;
        [&tunnels.v4, &tunnels.v6].into_iter().flatten().map(|tunnel| &tunnel.link)
    }

    fn is_own_tunnel(&self, index: u32) -> bool {
        self.own && self.tunnels().any(|link| link.index == index)
    }

    /// A link's name for the one who reads; those of others are known by their index here, as `ip` names
    /// links that are gone.
    fn name(&self, index: Option<u32>) -> String {
        let Some(index) = index else { return String::new() };
        let Have { underlays, .. } = self.have;
        let mut known = [&underlays.v4, &underlays.v6].into_iter().flatten().chain(self.tunnels());
        known
            .find(|link| link.index == index)
            .map_or_else(|| format!("if{index}"), |link| link.name.clone())
    }
}
