//! The node's part of a verb: everything of the plan made, or compared.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::link::{self, Link};
use kernel::route::{Lookup, look_up};
use kernel::{Look, Netns, Seen, Socket, glance};
use sha2::{Digest as _, Sha256};

use crate::Options;
use crate::change::Change;
use crate::config::Config;
use crate::difference::{alias, difference};
use crate::facts::Facts;
use crate::fleet::{Fault, Fleet};
use crate::observe::observe;
use crate::plan::{Device, Plan, Through, plan};
use crate::record::{Lock, Record, Settled, Sight};
use crate::source::Identity;
use crate::tunnel;

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
    config: &'a Config,
    /// What else the caller makes of the plan, in words: when they change, all is compared anew.
    beside: String,
}

/// The description of the fleet, the plan for it, and what it was made of.
struct Planned {
    fleet: Fleet,
    identity: Option<Identity>,
    facts: Facts,
    plan: Plan,
}

impl<'a> Network<'a> {
    /// The network; `beside` tells in words what else the caller makes of a plan.
    pub fn new(config: &'a Config, beside: impl Into<String>) -> Self {
        Self { config, beside: beside.into() }
    }

    /// Makes sure that the kernel has all of the plan. Where nothing has changed since that was so,
    /// it costs one look. `more` makes the rest of what the caller wants of the plan; it
    /// is called, under the lock, when all is compared anew.
    pub fn ensure(&self, more: impl FnOnce(&Plan) -> Result<(), Error>) -> Result<Ground, Error> {
        let socket = Socket::open()?;
        if let Some(ground) = self.as_recorded(&socket)? {
            return Ok(ground);
        }
        let lock = Lock::take(&self.config.state)?;
        // Another ADD may have done it while this one waited.
        if let Some(ground) = self.as_recorded(&socket)? {
            return Ok(ground);
        }
        self.settle(&socket, &lock, more)
    }

    /// Compares the kernel with the plan, whatever the record says, and applies the difference.
    pub fn reconcile(
        &self,
        more: impl FnOnce(&Plan) -> Result<(), Error>,
    ) -> Result<Ground, Error> {
        let lock = Lock::take(&self.config.state)?;
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
        for name in planned.outlived(&before) {
            if self.find_outlived(&socket, name)?.is_some() {
                words.push(format!("device {name} is left from before"));
            }
        }
        let domain = planned.domain(&before);
        let changes = planned.changes(&socket, &tunnels, &self.config.options, &domain)?;
        words.extend(changes.iter().map(|change| format!("to be mended by: {change}")));
        words.extend(overruled(&socket, &planned.plan, &changes, &self.config.options)?);
        words.extend(more(&planned.plan)?);
        Ok((Ground::of(&planned.fleet, &planned.plan), words))
    }

    /// Makes the plan and tries whether the kernel could have it; changes nothing.
    pub fn trial(&self) -> Result<Ground, Error> {
        let socket = Socket::open()?;
        let planned = self.plan(&socket)?;
        for device in &planned.plan.devices {
            tunnel::check_place(&socket, device, &self.config.options)?;
            tunnel::try_kind(device)?;
        }
        Ok(Ground::of(&planned.fleet, &planned.plan))
    }

    fn plan(&self, socket: &Socket) -> Result<Planned, Error> {
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
        let looks: Vec<Look> = settled.sights.iter().filter_map(Sight::look).collect();
        if looks.len() != settled.sights.len() {
            return Ok(None);
        }
        let seen = glance(socket, &looks);
        let same = std::iter::zip(seen, &settled.sights)
            .all(|(seen, sight)| seen.is_ok_and(|seen| describe(&seen) == sight.seen));
        Ok(same.then_some(Ground {
            mtu: settled.mtu,
            pod_cidrs: settled.pod_cidrs,
            faults: settled.faults,
        }))
    }

    /// What a record's conclusion depends on besides the kernel. `None` when the description of
    /// the fleet cannot be told from another one.
    fn key(&self, identity: Option<&Identity>) -> Result<Option<String>, Error> {
        let source = match (&self.config.source, identity) {
            (crate::Source::Inline(tree), _) => tree.to_string(),
            (crate::Source::File(path), Some(identity)) => {
                format!("{} {identity:?}", path.display())
            }
            (crate::Source::File(_), None) => return Ok(None),
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
        _: &Lock,
        more: impl FnOnce(&Plan) -> Result<(), Error>,
    ) -> Result<Ground, Error> {
        let planned = self.plan(socket)?;
        let (options, state) = (&self.config.options, &self.config.state);
        for device in &planned.plan.devices {
            tunnel::check_place(socket, device, options)?;
        }
        let before = Record::read(state);
        let domain = planned.domain(&before);
        let devices = planned.devices();
        let known: BTreeSet<_> = devices.iter().chain(&before.devices).cloned().collect();
        Record::new(None, domain.clone(), known.into_iter().collect()).write(state)?;

        let mut tunnels: Vec<(&Device, Link)> = Vec::new();
        for device in &planned.plan.devices {
            tunnels.push((device, tunnel::ensure(socket, device, options)?));
        }
        let changes = planned.changes(socket, &tunnels, options, &domain)?;
        let refused = apply(socket, &changes)?;
        for name in planned.outlived(&before) {
            if let Some(link) = self.find_outlived(socket, name)? {
                match socket.run(link::delete(link.index, name)) {
                    Err(e) if !e.is_gone() => return Err(e.into()),
                    _ => {}
                }
            }
        }
        more(&planned.plan)?;

        let mut ground = Ground::of(&planned.fleet, &planned.plan);
        if refused.is_empty() {
            let key = self.key(planned.identity.as_ref())?;
            let settled = key.zip(sights(socket, &planned, &tunnels, options.protocol)?).map(
                |(key, sights)| Settled {
                    key,
                    sights,
                    mtu: ground.mtu,
                    pod_cidrs: ground.pod_cidrs.clone(),
                    faults: ground.faults.clone(),
                },
            );
            Record::new(settled, planned.fleet.cluster.clone(), devices).write(state)?;
        }
        ground.faults.extend(refused);
        Ok(ground)
    }

    /// A device that an earlier plan had, if it is there and ours.
    fn find_outlived(&self, socket: &Socket, name: &str) -> Result<Option<Link>, Error> {
        let ours = alias(&self.config.options.network);
        let found = link::get(socket, name)?;
        Ok(found.filter(|link| link.alias.as_deref() == Some(ours.as_str())))
    }
}

impl Planned {
    fn devices(&self) -> Vec<String> {
        self.plan.devices.iter().map(|device| device.name.to_string()).collect()
    }

    /// The devices that an earlier plan had and this one has not.
    fn outlived<'b>(&self, before: &'b Record) -> impl Iterator<Item = &'b str> {
        let devices = self.devices();
        before.devices.iter().filter(move |name| !devices.contains(name)).map(String::as_str)
    }

    /// What bounds our routes, those of an earlier plan included.
    fn domain(&self, before: &Record) -> Vec<IpNetwork> {
        let all: BTreeSet<_> = self.fleet.cluster.iter().chain(&before.domain).copied().collect();
        all.into_iter().collect()
    }

    fn changes(
        &self,
        socket: &Socket,
        tunnels: &[(&Device, Link)],
        options: &Options,
        domain: &[IpNetwork],
    ) -> Result<Vec<Change>, Error> {
        let have = observe(socket, &self.facts, tunnels, options, domain)?;
        Ok(difference(&self.plan, &have, options, domain))
    }
}

/// Applies the changes. What the kernel refuses of a single peer is a fault of that peer; what all
/// depend on must succeed.
fn apply(socket: &Socket, changes: &[Change]) -> Result<Vec<Fault>, Error> {
    let requests: Vec<_> = changes.iter().map(Change::request).collect();
    let mut faults = Vec::new();
    for (change, outcome) in std::iter::zip(changes, socket.run_all(&requests)) {
        let Err(refused) = outcome else { continue };
        let removes = matches!(
            change,
            Change::RemoveAddress(..)
                | Change::RemoveNeighbour(..)
                | Change::RemoveEntry(..)
                | Change::RemoveRoute(..)
        );
        match change {
            _ if removes && refused.is_gone() => {}
            Change::AddAddress(..) if refused.is_exists() => {}
            Change::AddAddress(..) | Change::SetRoute(None, _) => return Err(refused.into()),
            _ => faults.push(Fault {
                peer: concerns(change),
                reason: format!("{change}: {}", Error::from(refused)),
            }),
        }
    }
    Ok(faults)
}

/// Peers whose pods the kernel reaches by a route of somebody else, although ours is there: one with
/// a smaller metric, or to a part of them.
fn overruled(
    socket: &Socket,
    plan: &Plan,
    changes: &[Change],
    options: &Options,
) -> Result<Vec<String>, Error> {
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
        words.push(format!("packets to {} take {by}, not ours", route.dst));
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

/// Whom a change is about: a peer's network or address.
fn concerns(change: &Change) -> String {
    match change {
        Change::AddAddress(_, address) | Change::RemoveAddress(_, address) => address.to_string(),
        Change::SetNeighbour(_, n) | Change::RemoveNeighbour(_, n) => n.ip.to_string(),
        Change::SetEntry(_, entry) | Change::RemoveEntry(_, entry) => entry.vtep.to_string(),
        Change::SetRoute(_, route) => route.dst.to_string(),
        Change::RemoveRoute(installed, _) => installed.route.dst.to_string(),
    }
}

/// What the next ADD has to see again to know that nothing has changed: every link in use, that the
/// node's addresses are where they were, and one route through each link and of each family, which
/// a link that was down in between does not have any more.
fn sights(
    socket: &Socket,
    planned: &Planned,
    tunnels: &[(&Device, Link)],
    protocol: u8,
) -> Result<Option<Vec<Sight>>, Error> {
    let mut looks = Vec::new();
    let mut own = BTreeSet::new();
    for ipv6 in [false, true] {
        if let Some(underlay) = planned.facts.underlays.get(ipv6) {
            looks.push(Look::Link(underlay.index));
            looks.push(Look::Route(underlay.local));
            own.insert(underlay.local);
        }
        for through in [Through::Underlay, Through::Tunnel] {
            let mut routes = planned.plan.routes.iter();
            let sentinel = routes.find(|r| r.through == through && r.dst.is_ipv6() == ipv6);
            looks.extend(sentinel.map(|route| Look::Route(first_pod(route.dst))));
        }
    }
    looks.extend(tunnels.iter().map(|(_, link)| Look::Link(link.index)));
    looks.dedup();
    let seen: Vec<Seen> = glance(socket, &looks).into_iter().collect::<kernel::Result<_>>()?;
    // What somebody else removed meanwhile, or overrules, proves nothing.
    let proves = |look: &Look, seen: &Seen| match (look, seen) {
        (Look::Route(address), Seen::Route(Some(route))) => {
            own.contains(address) || route.protocol == protocol
        }
        (_, seen) => !matches!(seen, Seen::Link(None) | Seen::Route(None)),
    };
    let pairs = || std::iter::zip(&looks, &seen);
    Ok(pairs()
        .all(|(look, seen)| proves(look, seen))
        .then(|| pairs().map(|(look, seen)| Sight::of(look, seen)).collect()))
}

/// An address that a pod could have.
fn first_pod(network: IpNetwork) -> IpAddr {
    match network {
        IpNetwork::V4(net) if net.prefix() < 32 => {
            Ipv4Addr::from_bits(net.network().to_bits().saturating_add(1)).into()
        }
        IpNetwork::V6(net) if net.prefix() < 128 => {
            Ipv6Addr::from_bits(net.network().to_bits().saturating_add(1)).into()
        }
        alone => alone.ip(),
    }
}

impl Sight {
    fn of(look: &Look, seen: &Seen) -> Self {
        let (link, route) = match look {
            Look::Link(index) => (Some(*index), None),
            Look::Route(address) => (None, Some(*address)),
        };
        Self { link, route, seen: describe(seen) }
    }

    fn look(&self) -> Option<Look> {
        match (self.link, self.route) {
            (Some(index), None) => Some(Look::Link(index)),
            (None, Some(address)) => Some(Look::Route(address)),
            _ => None,
        }
    }
}

/// What was seen, in words that change when anything does that matters here.
fn describe(seen: &Seen) -> String {
    match seen {
        Seen::Link(Some(link)) => {
            let Link { name, alias, mac, mtu, up, vxlan, ipip, .. } = link;
            format!("{name} {alias:?} {mac:?} {mtu} {up} {vxlan:?} {ipip:?}")
        }
        Seen::Route(Some(Lookup { kind, link, gw, dst, protocol })) => {
            format!("{kind:?} {link:?} {gw:?} {dst} {protocol}")
        }
        Seen::Link(None) | Seen::Route(None) => "nothing".to_owned(),
    }
}
