//! What a comparison of all found and what became of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;

use crate::{Change, Fleet, Ground, Plan};

/// The fleet, the plan for it, and what the kernel lacked of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What an attachment needs to know.
    pub ground: Ground,
    /// The nodes.
    pub fleet: Arc<Fleet>,
    /// What the kernel was to have.
    pub plan: Plan,
    /// Devices that had to go, to come or to be mended before anything else, as commands.
    pub devices: Vec<String>,
    /// The rest of the difference, in order. What the kernel refused of it is among the faults.
    pub changes: Vec<Change>,
    /// Devices of an earlier plan that had to go after that, as commands.
    pub outlived: Vec<String>,
    /// What the caller made beside it, as commands, or as remarks where there is none.
    pub beside: Vec<String>,
    /// The underlay's interfaces, by index.
    pub underlays: Vec<u32>,
    /// The tunnel devices, by index; one that is only planned has none.
    pub tunnels: Vec<u32>,
}

/// One step, and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'o> {
    /// The peer, where it is about one.
    pub peer: Option<&'o str>,
    /// The command that does the same.
    pub command: String,
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

    /// The steps in order.
    pub fn steps(&self) -> Vec<Step<'_>> {
        let of_node = |command: &String| Step { peer: None, command: command.clone() };
        let owners = if self.changes.is_empty() { Owners::default() } else { Owners::of(self) };
        let changes = self.changes.iter().map(|change| {
            let command = change.to_string();
            Step { peer: owners.of_change(change), command }
        });
        let first = self.devices.iter().map(of_node);
        let last = self.outlived.iter().chain(&self.beside).map(of_node);
        first.chain(changes).chain(last).collect()
    }
}

/// Whose what is.
#[derive(Default)]
struct Owners<'o> {
    nets: BTreeMap<IpNetwork, &'o str>,
    ips: BTreeMap<IpAddr, &'o str>,
}

impl<'o> Owners<'o> {
    fn of(outcome: &'o Outcome) -> Self {
        let mut owners = Self::default();
        for peer in &outcome.fleet.peers {
            let name = peer.name.as_str();
            owners.nets.extend(peer.pod_cidrs.iter().map(|net| (*net, name)));
            owners.ips.extend(peer.node_ips.iter().map(|ip| (*ip, name)));
            let gateways = [false, true].into_iter().filter_map(|v6| peer.vtep_gateway(v6));
            owners.ips.extend(gateways.map(|ip| (ip, name)));
        }
        owners
    }

    fn of_change(&self, change: &Change) -> Option<&'o str> {
        let net = |net| self.nets.get(net).copied();
        let ip = |ip| self.ips.get(ip).copied();
        match change {
            Change::AddAddress(..) | Change::RemoveAddress(..) => None,
            Change::SetNeighbour(_, one) | Change::RemoveNeighbour(_, one) => ip(&one.ip),
            Change::SetEntry(_, entry) | Change::RemoveEntry(_, entry) => ip(&entry.vtep),
            Change::SetRoute(_, route) => net(&route.dst),
            Change::RemoveRoute(installed, _) => net(&installed.route.dst),
        }
    }
}
