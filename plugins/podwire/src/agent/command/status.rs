//! `podwire status`: who the peers are, how each is reached, and how the agent fares.

mod show;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use peers::{Fault, Node, Prospect, Through};
use serde::Serialize;

use super::AMISS;
use crate::agent::network::Network;
use crate::agent::state::{self, State};
use crate::agent::{arguments, reconcile};
use crate::failure::Failure;
use crate::plain::plain_lines;

/// The arguments of `status`.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Arguments {
    #[command(flatten)]
    common: arguments::Arguments,
    /// Print a JSON object, as README.md describes it
    #[arg(long)]
    json: bool,
}

/// All that is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    network: String,
    way: &'static str,
    node: Option<String>,
    mtu: Option<u32>,
    /// True when the kernel has all of the plan and every peer is served.
    in_line: bool,
    /// Why there is no plan to compare with.
    trouble: Option<String>,
    /// What the kernel lacks, as commands.
    lacking: Vec<String>,
    agent: Agent,
    peers: Vec<Peer>,
}

/// How the agent fares.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    running: bool,
    /// What it wrote last.
    #[serde(flatten)]
    state: Option<Told>,
}

/// What is shown of the agent's state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    pid: u32,
    source: String,
    source_trouble: Option<state::Trouble>,
    conflist_trouble: Option<state::Trouble>,
    trouble: Option<state::Trouble>,
    unpublished: Option<state::Trouble>,
    started: u64,
    last_success: u64,
    rounds: u64,
    failed_rounds: u64,
    changes: u64,
    recent: Vec<state::Made>,
}

/// A peer, or whatever else a fault is about.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Peer {
    name: String,
    #[serde(rename = "nodeIPs")]
    node_ips: Vec<String>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Vec<String>,
    /// `tunnel`, `direct`, or nothing when it is not served.
    mode: Option<&'static str>,
    /// Everything that leads to it is in the kernel.
    in_place: bool,
    /// Why it is not, or not wholly, served.
    reasons: Vec<String>,
    /// Seconds since 1970.
    last_change: Option<u64>,
}

/// Prints it. 3 when something is not as it should be.
pub fn status(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let network = Network::read(&arguments.common.network)?;
    let mut status = look(&network);
    if status.trouble.is_some()
        && !arguments.common.follows_the_plugins_own()
        && !network.peers_file.exists()
    {
        status.trouble = Some(format!(
            "{} is not there yet: podwire agent, or podwire once, writes what the source tells",
            network.peers_file.display()
        ));
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(&status).map_err(std::io::Error::from)?;
        writeln!(out, "{}", plain_lines(&text))?;
    } else {
        show::table(&status, out)?;
    }
    Ok(if status.in_line { ExitCode::SUCCESS } else { ExitCode::from(AMISS) })
}

fn look(network: &Network) -> Status {
    let known = State::read(network.state());
    // Without the file there is none, and it is not made for that.
    let running =
        reconcile::lock(network).exists() && reconcile::alone(network, Duration::ZERO).is_err();
    let changed = known.as_ref().map(|state| state.changed.clone()).unwrap_or_default();
    let source_faults = known.as_ref().filter(|_| running).map(|state| state.faults.clone());
    let mut status = Status {
        network: network.name().to_owned(),
        way: network.config.node.options.backend.name(),
        node: None,
        mtu: None,
        in_line: false,
        trouble: None,
        lacking: Vec::new(),
        agent: Agent { running, state: known.map(Told::from) },
        peers: Vec::new(),
    };
    match cluster::node::prospect(&network.config) {
        Ok(prospect) => {
            let ground = &prospect.outcome.ground;
            status.node = Some(prospect.outcome.fleet.local.name.clone());
            status.mtu = Some(ground.mtu);
            let steps = prospect.outcome.steps().into_iter();
            status.lacking = steps.map(|step| step.command.to_string()).collect();
            let mut faults = ground.faults.clone();
            // What only the source knows of, or what the kernel refused.
            let more = source_faults.into_iter().flatten().filter(|f| !ground.faults.contains(f));
            faults.extend(more);
            status.peers = peers(&prospect, &faults, &changed);
            status.in_line =
                status.lacking.is_empty() && faults.is_empty() && prospect.overruled.is_empty();
        }
        Err(error) => status.trouble = Some(error.to_string()),
    }
    let agent = status.agent.state.as_ref().filter(|_| running);
    status.in_line &= agent.is_none_or(|agent| {
        [&agent.source_trouble, &agent.conflist_trouble, &agent.trouble].iter().all(|t| t.is_none())
    });
    status
}

fn peers(prospect: &Prospect, faults: &[Fault], changed: &BTreeMap<String, u64>) -> Vec<Peer> {
    let outcome = &prospect.outcome;
    let mut all: BTreeMap<&str, Peer> = BTreeMap::new();
    for node in &outcome.fleet.peers {
        let peer = Peer {
            mode: outcome.way(node).and_then(mode),
            in_place: true,
            last_change: changed.get(&node.name).copied(),
            ..Peer::of(node)
        };
        all.insert(&node.name, peer);
    }
    for step in outcome.steps() {
        if let Some(peer) = step.peer.and_then(|name| all.get_mut(name)) {
            peer.in_place = false;
        }
    }
    for (net, words) in &prospect.overruled {
        let owner = outcome.fleet.peers.iter().find(|peer| peer.pod_cidrs.contains(net));
        if let Some(peer) = owner.and_then(|node| all.get_mut(node.name.as_str())) {
            peer.reasons.push(words.clone());
        }
    }
    for Fault { peer: name, reason } in faults {
        let peer =
            all.entry(name).or_insert_with(|| Peer { name: name.clone(), ..Peer::default() });
        // What is overruled the agent has found, too.
        if !peer.reasons.contains(reason) {
            peer.reasons.push(reason.clone());
        }
    }
    all.into_values().collect()
}

fn mode(way: Through) -> Option<&'static str> {
    match way {
        Through::Tunnel => Some("tunnel"),
        Through::Underlay => Some("direct"),
        Through::Nowhere => None,
    }
}

impl Peer {
    fn of(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            node_ips: node.node_ips.iter().map(ToString::to_string).collect(),
            pod_cidrs: node.pod_cidrs.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }
}

impl From<State> for Told {
    fn from(state: State) -> Self {
        Self {
            pid: state.pid,
            source: state.source,
            source_trouble: state.source_trouble,
            conflist_trouble: state.conflist_trouble,
            trouble: state.trouble,
            unpublished: state.unpublished,
            started: state.started,
            last_success: state.last_success,
            rounds: state.rounds,
            failed_rounds: state.failed_rounds,
            changes: state.changes,
            recent: state.recent.into(),
        }
    }
}

impl Status {
    /// What is wrong, a line each.
    fn troubles(&self) -> Vec<String> {
        let mut all: Vec<String> = self.trouble.iter().cloned().collect();
        if let Some(told) = self.agent.state.as_ref().filter(|_| self.agent.running) {
            let of = |what: &str, trouble: &Option<state::Trouble>| {
                trouble.as_ref().map(|trouble| {
                    format!("{what} since {}: {}", show::time(trouble.since), trouble.what)
                })
            };
            all.extend(of("the source fails", &told.source_trouble));
            all.extend(of("the conflist is not followed", &told.conflist_trouble));
            all.extend(of("rounds fail", &told.trouble));
            all.extend(of("peersFile is not written", &told.unpublished));
        }
        all
    }
}
