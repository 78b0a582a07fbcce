//! What would be done, without doing it.

use std::sync::Arc;

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::Socket;
use kernel::link::{self, Link};

use crate::adopt::adopted;
use crate::device::{Verdict, compare};
use crate::difference::alias;
use crate::overruled::overruled;
use crate::planned::Planned;
use crate::record::Record;
use crate::scope::Scope;
use crate::settle::Network;
use crate::{Outcome, commands, former, tunnel};

/// What a reconciliation would do, and what it could not.
#[derive(Clone, Debug)]
pub struct Prospect {
    /// What it would do.
    pub outcome: Outcome,
    /// Destinations whose packets take somebody else's route although ours is there, in words.
    pub overruled: Vec<(IpNetwork, String)>,
}

impl Network<'_> {
    /// What [`reconcile`](Self::reconcile) would do; changes nothing. Fails where that would be
    /// refused before anything was changed.
    pub fn prospect(&self) -> Result<Prospect, Error> {
        let socket = Socket::open()?;
        let planned = self.plan(&socket)?;
        let (options, state) = (&self.config.options, &self.config.state);
        let before = Record::read(state);
        let outlived = self.outlived(&socket, &planned, &before)?;
        let mut devices = Vec::new();
        let mut tunnels = Vec::new();
        let needed = |link: &&Link| planned.plan.devices.iter().any(|d| tunnel::excludes(d, link));
        let (first, last): (Vec<_>, Vec<_>) = outlived.iter().partition(needed);
        devices.extend(first.into_iter().map(commands::removal));
        let (_, taken_over) = adopted(&socket, &planned.plan, &before, options)?;
        devices.extend(taken_over.into_iter().map(|words| format!("# {words}")));
        for device in &planned.plan.devices {
            tunnel::check_place(&socket, device, options, &outlived)?;
            let found = link::get(&socket, device.name.as_str())?;
            let underlay = planned.underlay(device.ipv6);
            devices.extend(commands::of(device, found.as_ref(), underlay, options));
            // What is made anew holds nothing yet.
            let alias = alias(&options.network);
            let stays = found.filter(|f| matches!(compare(device, f, &alias), Verdict::Mend(_)));
            let to_come = || Link { name: device.name.to_string(), ..Link::default() };
            tunnels.push((device, stays.unwrap_or_else(to_come)));
        }
        let rivals = self.record()?.rivals(state);
        let scope = Scope::new(&options.network, &planned.fleet.cluster, &before, &rivals);
        let mut changes = planned.changes(&socket, &tunnels, options, &scope)?;
        let plan = &planned.plan;
        changes.extend(former::changes(&socket, plan, &before, &scope, options.protocol)?);
        let links = planned.links(&tunnels);
        let overruled = overruled(&socket, &planned.plan, &changes, options, &links)?;
        let overlaps = planned.overlaps(&rivals);
        let Planned { fleet, plan, .. } = planned;
        let mut outcome = Outcome::of(fleet, Arc::new(plan), links);
        outcome.ground.faults.extend(overlaps);
        let outlived = last.into_iter().map(commands::removal).collect();
        Ok(Prospect { outcome: Outcome { devices, changes, outlived, ..outcome }, overruled })
    }
}
