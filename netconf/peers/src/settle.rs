//! The node's part of a verb: everything of the plan made, or compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::Socket;
use kernel::link::{self, Link};

use crate::adopt::adopted;
use crate::apply::apply;
use crate::conclusion::{Pending, some};
use crate::config::Config;
use crate::facts::Families;
use crate::fleet::{Fault, Fleet};
use crate::outlived::remove;
use crate::overruled::overruled;
use crate::plan::{Device, Plan};
use crate::planned::Planned;
use crate::record::{self, Record, Settled};
use crate::scope::Scope;
use crate::sight::sights;
use crate::{Outcome, commands, former, tunnel};

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
    pub(crate) beside: String,
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

    /// An empty record of this network.
    pub(crate) fn record(&self) -> Result<Record, Error> {
        let options = &self.config.options;
        Ok(Record::of(&options.network, options.protocol)?)
    }
}
