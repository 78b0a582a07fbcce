//! The node's part of a verb: everything of the plan made, or compared.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::link::{self, Link};
use kernel::route::{Installed, Route};
use kernel::{Look, Netns, Socket, glance};
use sha2::{Digest as _, Sha256};

use crate::adopt::adopted;
use crate::apply::apply;
use crate::change::Change;
use crate::config::Config;
use crate::difference::{alias, difference};
use crate::facts::{Facts, Families};
use crate::fleet::{Fault, Fleet, within};
use crate::observe::observe;
use crate::overruled::overruled;
use crate::plan::{Device, Plan, plan};
use crate::record::{self, Record, Settled, Sight};
use crate::scope::Scope;
use crate::sight::{describe, sights};
use crate::source::{Identity, Known};
use crate::{Options, Outcome, Source, commands, former, tunnel};

/// How many faults the record keeps for the next ADD to tell.
const REMEMBERED: usize = 20;

/// A conclusion that cannot be recorded yet, because the fleet's file was written a moment ago.
#[derive(Clone, Debug)]
pub struct Pending {
    fleet: Arc<Fleet>,
    /// The record that stands meanwhile.
    record: Record,
    /// What is to come into it; the key is missing.
    settled: Settled,
}

impl Settled {
    /// Whether all that was looked at is as it was.
    fn is_seen_again(&self, socket: &Socket) -> bool {
        let looks: Vec<Look> = self.sights.iter().filter_map(Sight::look).collect();
        looks.len() == self.sights.len()
            && std::iter::zip(glance(socket, &looks), &self.sights)
                .all(|(seen, sight)| seen.is_ok_and(|seen| describe(&seen) == sight.seen))
    }
}

/// What an attachment needs to know of the node's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The pods' MTU in bytes.
    pub mtu: u32,
    /// The local pods' networks.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Peers that are not served, and why.
    pub faults: Vec<Fault>,
}

/// Indices of underlays' interfaces, and of tunnel devices.
pub(crate) type Links = (Families<Option<u32>>, Families<Option<u32>>);

impl Outcome {
    /// Nothing had to be done yet.
    pub(crate) fn of(fleet: Arc<Fleet>, plan: Arc<Plan>, (underlays, tunnels): Links) -> Self {
        Self {
            ground: Ground::of(&fleet, &plan),
            fleet,
            plan,
            devices: Vec::new(),
            changes: Vec::new(),
            outlived: Vec::new(),
            beside: Vec::new(),
            underlays,
            tunnels,
            pending: None,
        }
    }
}

impl Ground {
    fn of(fleet: &Fleet, plan: &Plan) -> Self {
        Self {
            mtu: plan.mtu,
            pod_cidrs: fleet.local.pod_cidrs.clone(),
            faults: plan.faults.clone(),
        }
    }
}

/// A node-to-node network on this node.
#[derive(Debug)]
pub struct Network<'a> {
    pub(crate) config: &'a Config,
    /// What else the caller makes of the plan, in words: when they change, all is compared anew.
    beside: String,
}

/// The description of the fleet, the plan for it, and what it was made of.
pub(crate) struct Planned {
    pub fleet: Arc<Fleet>,
    identity: Option<Identity>,
    facts: Facts,
    pub plan: Plan,
}

impl<'a> Network<'a> {
    /// The network; `beside` tells in words what else the caller makes of a plan.
    pub fn new(config: &'a Config, beside: impl Into<String>) -> Self {
        Self { config, beside: beside.into() }
    }

    /// Makes sure that the kernel has all of the plan. Where nothing has changed since that was so,
    /// it costs one look. `more` makes the rest of what the caller wants of the plan, under the lock,
    /// when all is compared anew, and tells what that took; `holds` tells whether it is still there.
    pub fn ensure(
        &self,
        holds: impl Fn() -> Result<bool, Error>,
        more: impl FnOnce(&Plan) -> Result<Vec<String>, Error>,
    ) -> Result<Ground, Error> {
        let socket = Socket::open()?;
        let done = || -> Result<Option<Ground>, Error> {
            match self.as_recorded(&socket)? {
                Some(ground) => Ok(holds()?.then_some(ground)),
                None => Ok(None),
            }
        };
        if let Some(ground) = done()? {
            return Ok(ground);
        }
        let lock = record::lock(&self.config.state)?;
        // Another ADD may have done it while this one waited.
        if let Some(ground) = done()? {
            return Ok(ground);
        }
        self.settle(&socket, &lock, more).map(|outcome| outcome.ground)
    }

    /// Compares the kernel with the plan, whatever the record says, and applies the difference.
    pub fn reconcile(
        &self,
        more: impl FnOnce(&Plan) -> Result<Vec<String>, Error>,
    ) -> Result<Outcome, Error> {
        let lock = record::lock(&self.config.state)?;
        self.settle(&Socket::open()?, &lock, more)
    }

    /// What differs between the kernel and the plan, in words; changes nothing. `more` adds
    /// what the caller compares.
    pub fn compare(
        &self,
        more: impl FnOnce(&Plan) -> Result<Vec<String>, Error>,
    ) -> Result<(Ground, Vec<String>), Error> {
        let socket = Socket::open()?;
        let planned = self.plan(&socket)?;
        let mut words: Vec<String> = planned.plan.faults.iter().map(Fault::to_string).collect();
        let mut tunnels = Vec::new();
        for device in &planned.plan.devices {
            let (link, differs) = tunnel::differences(&socket, device, &self.config.options)?;
            words.extend(differs);
            tunnels.extend(link.map(|link| (device, link)));
        }
        let before = Record::read(&self.config.state);
        for link in self.outlived(&socket, &planned, &before)? {
            words.push(format!("device {} is left from before", link.name));
        }
        let rivals = self.record()?.rivals(&self.config.state);
        words.extend(planned.overlaps(&rivals).iter().map(Fault::to_string));
        let options = &self.config.options;
        let scope = Scope::new(&options.network, &planned.fleet.cluster, &before, &rivals);
        let mut changes = planned.changes(&socket, &tunnels, options, &scope)?;
        let plan = &planned.plan;
        changes.extend(former::changes(&socket, plan, &before, &scope, options.protocol)?);
        words.extend(changes.iter().map(|change| format!("to be mended by: {change}")));
        let links = planned.links(&tunnels);
        let overruled = overruled(&socket, &planned.plan, &changes, options, &links)?;
        words.extend(overruled.into_iter().map(|(_, words)| words));
        words.extend(more(&planned.plan)?);
        Ok((Ground::of(&planned.fleet, &planned.plan), words))
    }

    /// Makes the plan and tries whether the kernel could have it; changes nothing.
    pub fn trial(&self) -> Result<Ground, Error> {
        let socket = Socket::open()?;
        let planned = self.plan(&socket)?;
        let before = Record::read(&self.config.state);
        let outlived = self.outlived(&socket, &planned, &before)?;
        for device in &planned.plan.devices {
            tunnel::try_kind(device)?;
            tunnel::check_place(&socket, device, &self.config.options, &outlived)?;
        }
        Ok(Ground::of(&planned.fleet, &planned.plan))
    }

    pub(crate) fn plan(&self, socket: &Socket) -> Result<Planned, Error> {
        let (fleet, identity) = self.config.source.read()?;
        let facts = Facts::gather(socket, &fleet, &self.config.options)?;
        let plan = plan(&fleet, &facts, &self.config.options)?;
        Ok(Planned { fleet, identity, facts, plan })
    }

    /// What a record that still holds tells.
    fn as_recorded(&self, socket: &Socket) -> Result<Option<Ground>, Error> {
        let record = Record::read(&self.config.state);
        let Some(settled) = record.settled else { return Ok(None) };
        if self.key(self.config.source.identity().as_ref())?.as_ref() != Some(&settled.key) {
            return Ok(None);
        }
        Ok(settled.is_seen_again(socket).then_some(Ground {
            mtu: settled.mtu,
            pod_cidrs: settled.pod_cidrs,
            faults: settled.faults,
        }))
    }

    /// What a record's conclusion depends on besides the kernel. `None` when the description of
    /// the fleet cannot be told from another one.
    fn key(&self, identity: Option<&Identity>) -> Result<Option<String>, Error> {
        let source = match (&self.config.source, identity) {
            (Source::Inline(tree), _) => tree.to_string(),
            (Source::File(path) | Source::Known(Known { path, .. }), Some(identity)) => {
                format!("{} {identity:?}", path.display())
            }
            (Source::File(_) | Source::Known(_), None) => return Ok(None),
        };
        let (options, beside) = (&self.config.options, &self.beside);
        let version = env!("CARGO_PKG_VERSION");
        let netns = Netns::own_number()?;
        let all = format!("{version}\n{netns}\n{options:?}\n{beside}\n{source}");
        let digest = Sha256::digest(all.as_bytes());
        Ok(Some(digest.iter().take(16).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })))
    }

    fn settle(
        &self,
        socket: &Socket,
        _: &kernel::Lock,
        more: impl FnOnce(&Plan) -> Result<Vec<String>, Error>,
    ) -> Result<Outcome, Error> {
        let planned = self.plan(socket)?;
        let (options, state) = (&self.config.options, &self.config.state);
        let before = Record::read(state);
        let outlived = self.outlived(socket, &planned, &before)?;
        for device in &planned.plan.devices {
            tunnel::check_place(socket, device, options, &outlived)?;
        }
        let (adopted, taken_over) = adopted(socket, &planned.plan, &before, options)?;
        for words in &taken_over {
            cni::warn(format_args!("{}: {words}", options.network));
        }
        let record = Record { adopted, ..self.record()? };
        let rivals = record.rivals(state);
        let scope = Scope::new(&options.network, &planned.fleet.cluster, &before, &rivals);
        let devices = planned.devices();
        let known: BTreeSet<_> = devices.iter().chain(&before.devices).cloned().collect();
        let unsettled = Record {
            domain: scope.own.clone(),
            devices: known.into_iter().collect(),
            former: former::protocols(&before, options.protocol),
            ..record.clone()
        };
        unsettled.write(state)?;

        // A device that an earlier plan had goes last, unless a new one needs what it has.
        let needed = |link: &Link| planned.plan.devices.iter().any(|d| tunnel::excludes(d, link));
        let (first, last): (Vec<_>, Vec<_>) = outlived.into_iter().partition(needed);
        let mut done: Vec<String> = first.iter().map(commands::removal).collect();
        remove(socket, &first)?;
        done.extend(taken_over.into_iter().map(|words| format!("# {words}")));
        let mut tunnels: Vec<(&Device, Link)> = Vec::new();
        for device in &planned.plan.devices {
            let found = link::get(socket, device.name.as_str())?;
            let underlay = planned.underlay(device.ipv6);
            done.extend(commands::of(device, found.as_ref(), underlay, options));
            tunnels.push((device, tunnel::ensure(socket, device, options)?));
        }
        let mut changes = planned.changes(socket, &tunnels, options, &scope)?;
        let plan = &planned.plan;
        changes.extend(former::changes(socket, plan, &before, &scope, options.protocol)?);
        let refused = apply(socket, &changes)?;
        remove(socket, &last)?;
        let beside = more(&planned.plan)?;

        let links = planned.links(&tunnels);
        let mut ground = Ground::of(&planned.fleet, &planned.plan);
        ground.faults.extend(planned.overlaps(&rivals));
        let mut pending = None;
        if refused.is_empty() {
            let key = self.key(planned.identity.as_ref())?;
            let sights = sights(socket, &planned.plan, &planned.facts, &tunnels, options)?;
            let mut settled = sights.map(|sights| Settled {
                key: key.clone().unwrap_or_default(),
                sights,
                mtu: ground.mtu,
                pod_cidrs: ground.pod_cidrs.clone(),
                faults: some(&ground.faults),
            });
            let domain = planned.fleet.cluster.clone();
            let record = Record { settled: None, domain, devices, ..record };
            if key.is_none() {
                let later = settled.take();
                pending = later.map(|settled| Pending {
                    fleet: planned.fleet.clone(),
                    record: record.clone(),
                    settled,
                });
            }
            Record { settled, ..record }.write(state)?;
        }
        ground.faults.extend(refused);
        let Planned { fleet, plan, .. } = planned;
        let outlived = last.iter().map(commands::removal).collect();
        let outcome = Outcome::of(fleet, Arc::new(plan), links);
        Ok(Outcome { ground, devices: done, changes, outlived, beside, pending, ..outcome })
    }

    /// Records what was pending, by a look at what it was drawn from. False where the fleet's file has not
    /// rested yet or says something else, and where anything has changed: then all is to be compared.
    pub fn confirm(&self, pending: &Pending) -> Result<bool, Error> {
        let state = &self.config.state;
        let _lock = record::lock(state)?;
        let Pending { fleet, record, settled } = pending;
        let (described, identity) = self.config.source.read()?;
        if described != *fleet {
            return Ok(false);
        }
        let Some(key) = self.key(identity.as_ref())? else { return Ok(false) };
        if Record::read(state) != *record || !settled.is_seen_again(&Socket::open()?) {
            return Ok(false);
        }
        let settled = Some(Settled { key, ..settled.clone() });
        Record { settled, ..record.clone() }.write(state)?;
        Ok(true)
    }

    /// An empty record of this network.
    pub(crate) fn record(&self) -> Result<Record, Error> {
        let options = &self.config.options;
        Ok(Record::of(&options.network, options.protocol)?)
    }

    /// The devices that an earlier plan had and this one has not, if they are there and ours; and where one is
    /// missing, those that bear our mark, whatever they are called: somebody may have renamed it.
    pub(crate) fn outlived(
        &self,
        socket: &Socket,
        planned: &Planned,
        before: &Record,
    ) -> Result<Vec<Link>, Error> {
        let (ours, devices) = (alias(&self.config.options.network), planned.devices());
        let mut links = Vec::new();
        for name in before.devices.iter().filter(|name| !devices.contains(name)) {
            let found = link::get(socket, name)?;
            links.extend(found.filter(|link| link.alias.as_deref() == Some(ours.as_str())));
        }
        let mut is_missing = false;
        for name in &devices {
            is_missing |= link::get(socket, name)?.is_none();
        }
        if is_missing {
            let is_tunnel = |link: &Link| ["vxlan", "ipip"].contains(&link.kind.as_str());
            let known = |link: &Link| {
                devices.contains(&link.name) || links.iter().any(|other| other.index == link.index)
            };
            let renamed: Vec<Link> = link::list(socket)?
                .into_iter()
                .filter(|link| link.alias.as_deref() == Some(ours.as_str()))
                .filter(|link| is_tunnel(link) && !known(link))
                .collect();
            links.extend(renamed);
        }
        Ok(links)
    }
}

/// Removes links that may be gone.
fn remove(socket: &Socket, links: &[Link]) -> Result<(), Error> {
    for link in links {
        match socket.run(link::delete(link.index, &link.name)) {
            Err(e) if !e.is_gone() => return Err(e.into()),
            _ => {}
        }
    }
    Ok(())
}

/// As many faults as anybody reads.
fn some(faults: &[Fault]) -> Vec<Fault> {
    let mut some: Vec<Fault> = faults.iter().take(REMEMBERED).cloned().collect();
    let more = faults.len().saturating_sub(REMEMBERED);
    if more > 0 {
        some.push(Fault { peer: format!("and {more} more"), reason: "see CHECK".to_owned() });
    }
    some
}

impl Planned {
    fn devices(&self) -> Vec<String> {
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
        Ok(changes)
    }
}
