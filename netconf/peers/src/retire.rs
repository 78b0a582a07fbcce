//! Taking a network away from a node.

use std::collections::BTreeSet;

use cni::{Code, Error};
use kernel::address::{self, host};
use kernel::link::{self, Link, Vxlan};
use kernel::{Socket, durable, route};

use crate::adopt::emptying;
use crate::difference::{alias, within_any};
use crate::record::{self, Record};
use crate::scope::Scope;
use crate::settle::Network;
use crate::{Backend, Change, commands, former};

impl Network<'_> {
    /// Removes everything of the node's part: the routes under our number that lead into the
    /// cluster's networks, the tunnel devices that bear our mark with all that they hold, our address
    /// on a device that is shared, and the record. `more` removes what the caller made beside it.
    /// What is somebody else's stays: a device that we took over, empty and without our mark, routes
    /// through other networks' devices, and routes to where another network's record leads as well as
    /// ours, which has them removed with its own. Tells what was removed, as commands.
    ///
    /// Where the cluster's networks are they know from the record and, if it can be read, from the
    /// description of the fleet; without either there are no routes of ours to be told from others.
    pub fn retire(&self, more: impl FnOnce() -> Result<(), Error>) -> Result<Vec<String>, Error> {
        let (options, state) = (&self.config.options, &self.config.state);
        let _lock = record::lock(state)?;
        let socket = Socket::open()?;
        let before = Record::read(state);
        let fleet = self.config.source.read().map(|(fleet, _)| fleet);
        let cluster = fleet.map(|fleet| fleet.cluster.clone()).unwrap_or_default();
        let record = self.record()?;
        let scope = Scope::new(&options.network, &cluster, &before, &record.rivals(state));
        // What is gone half-way is not what the last conclusion says.
        let former = former::protocols(&before, options.protocol);
        let devices = before.devices.clone();
        let adopted = before.adopted.clone();
        Record { domain: scope.own.clone(), devices, former, adopted, ..record }.write(state)?;

        let devices = self.devices(&socket, &before)?;
        let is_adopted = |link: &Link| before.adopted.iter().any(|one| one.is(link));
        let (left, devices): (Vec<_>, Vec<_>) = devices.into_iter().partition(is_adopted);
        let mut changes = Vec::new();
        for link in &left {
            for ipv6 in [false, true] {
                changes.extend(emptying(&socket, link, ipv6, options)?);
            }
        }
        let own: BTreeSet<u32> = devices.iter().map(|link| link.index).collect();
        let is_emptied = |at: Option<u32>| left.iter().any(|link| Some(link.index) == at);
        for ipv6 in [false, true] {
            if scope.own.iter().all(|net| net.is_ipv6() != ipv6) {
                continue;
            }
            let mut ours = route::of_protocol(&socket, ipv6, options.protocol)?;
            ours.retain(|installed| {
                let on_own = installed.link.is_some_and(|at| own.contains(&at));
                within_any(installed.route.dst, &scope.own)
                    && !is_emptied(installed.link)
                    && (on_own || !scope.is_claimed(installed.route.dst))
            });
            scope.without_anothers(&socket, &mut ours, &own)?;
            for installed in ours {
                let link = installed.link.and_then(|at| link::get_by_index(&socket, at).ok());
                let name = link.flatten().map(|link| link.name).unwrap_or_default();
                changes.push(Change::RemoveRoute(installed, name));
            }
        }
        changes.extend(former::routes(&socket, &before, &scope, options.protocol)?);
        if !self.config.options.backend.is_fallback() {
            changes.extend(former::addresses(&socket, &before, &scope)?);
        }
        if let Some(shared) = self.shared(&socket)? {
            let has = address::list(&socket, shared.index, false)?.into_iter();
            let ours = has.map(|one| one.address).filter(|address| {
                *address == host(address.ip()) && within_any(*address, &scope.own)
            });
            changes.extend(ours.map(|address| Change::RemoveAddress(shared.clone(), address)));
        }
        let mut done: Vec<String> = changes.iter().map(Change::to_string).collect();
        done.extend(devices.iter().map(commands::removal));
        done.extend(left.iter().map(commands::unmarking));

        let mut errors = Vec::new();
        let requests: Vec<_> = changes.iter().map(Change::request).collect();
        let removals = devices.iter().map(|link| link::delete(link.index, &link.name));
        let unmarkings = left.iter().map(|link| link::clear_alias(link.index, &link.name));
        let all: Vec<_> = requests.into_iter().chain(removals).chain(unmarkings).collect();
        for outcome in socket.run_all(&all) {
            errors.extend(outcome.err().filter(|e| !e.is_gone()).map(Error::from));
        }
        errors.extend(more().err());
        if errors.is_empty() {
            let forgotten = durable::discard(&record::path(state));
            errors.extend(forgotten.err().map(|e| {
                Error::new(Code::IO, format!("stateDir: remove {}: {e}", state.display()))
            }));
        }
        Error::all(errors).map(|()| done)
    }

    /// The tunnel devices that there are, of this plan and earlier ones, as far as they bear our mark; and one that
    /// whoever made it was killed before he could mark it.
    fn devices(&self, socket: &Socket, before: &Record) -> Result<Vec<Link>, Error> {
        let backend = &self.config.options.backend;
        let ours = alias(&self.config.options.network);
        let planned = [false, true].into_iter().filter_map(|ipv6| backend.device(ipv6));
        let names: BTreeSet<&str> = planned
            .map(cni::IfName::as_str)
            .chain(before.devices.iter().map(String::as_str))
            .collect();
        let mut links = Vec::new();
        for name in names {
            let found = link::get(socket, name)?;
            let half_made = |link: &Link| {
                link.alias.is_none() && !link.up && before.devices.contains(&link.name)
            };
            links.extend(found.filter(|link| {
                link.alias.as_deref() == Some(ours.as_str())
                    || half_made(link) && is_of(link, backend)
            }));
        }
        Ok(links)
    }

    /// The kernel's own device, where that is the tunnel.
    fn shared(&self, socket: &Socket) -> Result<Option<Link>, Error> {
        let backend = &self.config.options.backend;
        match backend.device(false).filter(|_| backend.is_fallback()) {
            Some(name) => Ok(link::get(socket, name.as_str())?),
            None => Ok(None),
        }
    }
}

/// True when the device is what we would make.
fn is_of(link: &Link, backend: &Backend) -> bool {
    match backend {
        Backend::HostGw => false,
        Backend::Vxlan(options) => {
            let is_ours = |has: &Vxlan| (has.vni, has.port) == (options.vni, options.port);
            link.vxlan.as_ref().is_some_and(is_ours)
        }
        Backend::Ipip(_) => !backend.is_fallback() && link.ipip.is_some(),
    }
}
