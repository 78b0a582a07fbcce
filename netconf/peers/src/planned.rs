//! The plan of a network as its description and the node's own network are now, and what the kernel lacks of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::Socket;
use kernel::link::{self, Link};
use kernel::route::{Installed, Route};

use crate::Options;
use crate::change::Change;
use crate::difference::difference;
use crate::facts::{Facts, Families};
use crate::fleet::{Fault, Fleet, within};
use crate::observe::observe;
use crate::plan::{Device, Plan, plan};
use crate::record::Record;
use crate::scope::Scope;
use crate::settle::{Links, Network};
use crate::source::Identity;

/// The description of the fleet, the plan for it, and what it was made of.
pub(crate) struct Planned {
    pub fleet: Arc<Fleet>,
    pub identity: Option<Identity>,
    pub facts: Facts,
    pub plan: Plan,
}

impl Network<'_> {
    pub(crate) fn plan(&self, socket: &Socket) -> Result<Planned, Error> {
        let (fleet, identity) = self.config.source.read()?;
        let facts = Facts::gather(socket, &fleet, &self.config.options)?;
        let plan = plan(&fleet, &facts, &self.config.options)?;
        Ok(Planned { fleet, identity, facts, plan })
    }
}

impl Planned {
    pub fn devices(&self) -> Vec<String> {
        self.plan.devices.iter().map(|device| device.name.to_string()).collect()
    }

    /// The name of the underlay's interface of a family.
    pub fn underlay(&self, ipv6: bool) -> &str {
        self.facts.underlays.get(ipv6).as_ref().map_or("", |underlay| underlay.name.as_str())
    }

    /// The underlay's interfaces and the tunnel devices. One that is still to come has no index.
    pub fn links(&self, tunnels: &[(&Device, Link)]) -> Links {
        let underlay = |ipv6| self.facts.underlays.get(ipv6).as_ref().map(|found| found.index);
        let tunnel = |ipv6| {
            let mut own = tunnels.iter().filter(|(device, _)| device.ipv6 == ipv6);
            own.next().map(|(_, link)| link.index).filter(|index| *index != 0)
        };
        let both = |of: &dyn Fn(bool) -> Option<u32>| Families { v4: of(false), v6: of(true) };
        (both(&underlay), both(&tunnel))
    }

    /// Other networks whose routes would be taken for ours, or ours for theirs.
    pub fn overlaps(&self, rivals: &[Record]) -> Vec<Fault> {
        let overlap = |a: &IpNetwork, b: &IpNetwork| within(*a, *b) || within(*b, *a);
        let mut faults = Vec::new();
        for rival in rivals {
            for theirs in &rival.domain {
                if let Some(own) = self.fleet.cluster.iter().find(|own| overlap(own, theirs)) {
                    let network = &rival.network;
                    faults.push(Fault {
                        peer: format!("of network {network}"),
                        reason: format!(
                            "its clusterCIDRs {theirs} and ours, {own}, overlap: give each network \
                             of a node its own, or another protocol number"
                        ),
                    });
                }
            }
        }
        faults
    }

    pub fn changes(
        &self,
        socket: &Socket,
        tunnels: &[(&Device, Link)],
        options: &Options,
        scope: &Scope,
    ) -> Result<Vec<Change>, Error> {
        let mut have = observe(socket, &self.facts, tunnels, options, &scope.own)?;
        let on_tunnel = |index| tunnels.iter().any(|(_, link)| Some(link.index) == index);
        have.routes.retain(|has| on_tunnel(has.link) || !scope.is_a_rivals(has.route.dst));
        let (underlays, own) = self.links(tunnels);
        let known = underlays.iter().chain(own.iter()).flatten().copied().collect();
        let anothers = scope.without_anothers(socket, &mut have.routes, &known)?;
        let mut changes = difference(&self.plan, &have, options, &scope.own);
        // The kernel would put ours in their place.
        let is_anothers = |route: &Route| {
            let same = |one: &Installed| {
                (one.route.dst, one.route.priority) == (route.dst, route.priority)
            };
            anothers.iter().any(same)
        };
        changes.retain(|one| !matches!(one, Change::SetRoute(_, route) if is_anothers(route)));
        // Routes that go from others' links are named by them.
        let mut names: BTreeMap<u32, Option<String>> = BTreeMap::new();
        for change in &mut changes {
            let Change::RemoveRoute(Installed { link: Some(index), .. }, name) = change else {
                continue;
            };
            if known.contains(index) {
                continue;
            }
            if !names.contains_key(index) {
                let link = link::get_by_index(socket, *index)?;
                names.insert(*index, link.map(|link| link.name));
            }
            if let Some(Some(known)) = names.get(index) {
                name.clone_from(known);
            }
        }
        Ok(changes)
    }
}
