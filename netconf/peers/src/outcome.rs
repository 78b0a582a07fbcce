//! What a comparison of all found and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;

use crate::conclusion::Pending;
use crate::facts::Families;
use crate::{Change, Fleet, Ground, Node, Plan, Through};

/// The fleet, the plan for it, and what the kernel lacked of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What an attachment needs to know.
    pub ground: Ground,
    /// The nodes.
    pub fleet: Arc<Fleet>,
    /// What the kernel was to have.
    pub plan: Arc<Plan>,
    /// Devices that had to go, to come or to be mended before anything else, as commands.
    pub devices: Vec<String>,
    /// The rest of the difference, in order. What the kernel refused of it is among the faults.
    pub changes: Vec<Change>,
    /// Devices of an earlier plan that had to go after that, as commands.
    pub outlived: Vec<String>,
    /// What the caller made beside it, as commands, or as remarks where there is none.
    pub beside: Vec<String>,
    /// The underlay's interface of each family, by index.
    pub underlays: Families<Option<u32>>,
    /// The tunnel device of each family, by index; one that is only planned has none.
    pub tunnels: Families<Option<u32>>,
    /// What an ADD can rely on as soon as the fleet's file has rested.
    pub pending: Option<Pending>,
}

/// One step, and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'o> {
    /// The peer, where it is about one.
    pub peer: Option<&'o str>,
    /// The command that does the same.
    pub command: Command<'o>,
}

/// A command, which is put into words when somebody asks: of thousands few are ever read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'o> {
    /// It is in words already.
    Words(&'o str),
    /// One change.
    Change(&'o Change),
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Change(change) => change.fmt(f),
        }
    }
}

impl Outcome {
    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.devices.len() + self.changes.len() + self.outlived.len() + self.beside.len()
    }

    /// True when the kernel has all of the plan and nothing else of ours.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Through what a peer is reached; `None` where nothing is planned for it.
    pub fn way(&self, peer: &Node) -> Option<Through> {
        let mut planned = peer.pod_cidrs.iter().flat_map(|net| self.plan.routes_to(*net));
        planned.next().map(|route| route.through)
    }

    /// The steps in order.
    pub fn steps(&self) -> Vec<Step<'_>> {
        let of_node = |words| Step { peer: None, command: Command::Words(words) };
        let owners = if self.changes.is_empty() { Owners::default() } else { Owners::of(self) };
        let changes = self.changes.iter().map(|change| {
            let command = Command::Change(change);
            Step { peer: owners.of_change(change), command }
        });
        let first = self.devices.iter().map(String::as_str).map(of_node);
        let last = self.outlived.iter().chain(&self.beside).map(String::as_str).map(of_node);
        first.chain(changes).chain(last).collect()
    }
}

/// Whose what is, of what is changed: of thousands of peers a change is mostly about one.
#[derive(Default)]
struct Owners<'o> {
    nets: BTreeMap<IpNetwork, Option<&'o str>>,
    ips: BTreeMap<IpAddr, Option<&'o str>>,
}

impl<'o> Owners<'o> {
    fn of(outcome: &'o Outcome) -> Self {
        let mut owners = Self::default();
        for change in &outcome.changes {
            match change {
                Change::AddAddress(..) | Change::RemoveAddress(..) => {}
                Change::SetNeighbour(_, one) | Change::RemoveNeighbour(_, one) => {
                    owners.ips.insert(one.ip, None);
                }
                Change::SetEntry(_, entry) | Change::RemoveEntry(_, entry) => {
                    owners.ips.insert(entry.vtep, None);
                }
                Change::SetRoute(_, route) => {
                    owners.nets.insert(route.dst, None);
                }
                Change::RemoveRoute(installed, _) => {
                    owners.nets.insert(installed.route.dst, None);
                }
            }
        }
        for peer in &outcome.fleet.peers {
            let name = Some(peer.name.as_str());
            for net in &peer.pod_cidrs {
                owners.nets.entry(*net).and_modify(|owner| *owner = name);
            }
            let gateways = [false, true].into_iter().filter_map(|v6| peer.vtep_gateway(v6));
            for ip in peer.node_ips.iter().copied().chain(gateways) {
                owners.ips.entry(ip).and_modify(|owner| *owner = name);
            }
        }
        owners
    }

    fn of_change(&self, change: &Change) -> Option<&'o str> {
        let net = |net| self.nets.get(net).copied().flatten();
        let ip = |ip| self.ips.get(ip).copied().flatten();
        match change {
            Change::AddAddress(..) | Change::RemoveAddress(..) => None,
            Change::SetNeighbour(_, one) | Change::RemoveNeighbour(_, one) => ip(&one.ip),
            Change::SetEntry(_, entry) | Change::RemoveEntry(_, entry) => ip(&entry.vtep),
            Change::SetRoute(_, route) => net(&route.dst),
            Change::RemoveRoute(installed, _) => net(&installed.route.dst),
        }
    }
}
