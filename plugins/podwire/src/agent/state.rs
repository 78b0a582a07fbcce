//! How the agent fares: what `status`, health and metrics show.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cni::{Error, Json};
use peers::{Fault, Outcome, Through};
use serde::{Deserialize, Serialize};

use super::publish::{self, Form, publish};

/// Of this form.
const VERSION: u32 = 1;
/// How many of the last changes are remembered.
const RECENT: usize = 20;

/// What is known. Times are seconds since 1970.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// Of which form it is.
    pub version: u32,
    /// The agent's process.
    pub pid: u32,
    /// The network.
    pub network: String,
    /// `host-gw`, `vxlan` or `ipip`.
    pub way: String,
    /// This node's name in the fleet.
    pub node: String,
    /// The source.
    pub source: String,
    /// What is wrong with it.
    pub source_trouble: Option<Trouble>,
    /// What is wrong with the conflist as it is now; that of the time before holds.
    pub conflist_trouble: Option<Trouble>,
    /// How many descriptions of the fleet it gave.
    pub snapshots: u64,
    /// When the agent began.
    pub started: u64,
    /// Rounds that went well, and those that did not.
    pub rounds: u64,
    /// See `rounds`.
    pub failed_rounds: u64,
    /// When the last one ended, and the last one that went well.
    pub last_round: u64,
    /// See `last_round`.
    pub last_success: u64,
    /// How long the last one took, in seconds.
    pub took: f64,
    /// Why the last one failed.
    pub trouble: Option<Trouble>,
    /// Why the plugins' file could not be written.
    pub unpublished: Option<Trouble>,
    /// Changes of the kernel's state that were made.
    pub changes: u64,
    /// The pods' MTU in bytes.
    pub mtu: u32,
    /// Peers that are served through a tunnel, and without one.
    pub tunnelled: usize,
    /// See `tunnelled`.
    pub direct: usize,
    /// Peers that are not, or not wholly, served, and why.
    pub faults: Vec<Fault>,
    /// When something of each peer was changed last.
    pub changed: BTreeMap<String, u64>,
    /// The last changes.
    pub recent: VecDeque<Made>,
}

/// Something that is wrong, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    pub since: u64,
    /// What.
    pub what: String,
}

/// A change that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Made {
    /// When.
    pub at: u64,
    /// Of which peer.
    pub peer: Option<String>,
    /// The command that does the same.
    pub command: String,
}

impl Trouble {
    /// The trouble there is now; it lasts since it is the same.
    pub fn now(before: Option<Self>, error: Option<&Error>) -> Option<Self> {
        let what = error?.to_string();
        let since = before.filter(|before| before.what == what).map_or_else(now, |b| b.since);
        Some(Self { since, what })
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl State {
    /// Of a network, before anything was done.
    pub fn new(network: &super::network::Network, node: String, source: String) -> Self {
        Self {
            version: VERSION,
            pid: std::process::id(),
            network: network.name().to_owned(),
            way: network.config.node.options.backend.name().to_owned(),
            node,
            source,
            started: now(),
            ..Self::default()
        }
    }

    /// Takes up what a round found and did.
    pub fn take_up(&mut self, outcome: &Outcome) {
        let at = now();
        self.rounds += 1;
        (self.last_round, self.last_success) = (at, at);
        self.trouble = None;
        self.node.clone_from(&outcome.fleet.local.name);
        self.mtu = outcome.ground.mtu;
        let ways = || outcome.fleet.peers.iter().filter_map(|peer| outcome.way(peer));
        self.direct = ways().filter(|way| *way == Through::Underlay).count();
        self.tunnelled = ways().count() - self.direct;
        self.faults.clone_from(&outcome.ground.faults);
        self.changes += u64::try_from(outcome.len()).unwrap_or_default();
        if outcome.is_empty() {
            return;
        }
        let steps = outcome.steps();
        let skip = steps.len().saturating_sub(RECENT);
        for (n, step) in steps.into_iter().enumerate() {
            let peer = step.peer.map(ToOwned::to_owned);
            if let Some(peer) = &peer {
                self.changed.insert(peer.clone(), at);
            }
            if n >= skip {
                self.recent.push_front(Made { at, peer, command: step.command.to_string() });
            }
        }
        self.recent.truncate(RECENT);
        let known: BTreeSet<&str> = outcome.fleet.peers.iter().map(|p| p.name.as_str()).collect();
        self.changed.retain(|peer, _| known.contains(peer.as_str()));
    }

    /// Takes up that a round failed.
    pub fn take_up_failure(&mut self, error: &Error) {
        self.failed_rounds += 1;
        self.last_round = now();
        self.trouble = Trouble::now(self.trouble.take(), Some(error));
    }

    /// True when the last round went well.
    pub fn is_in_line(&self) -> bool {
        self.rounds > 0 && self.trouble.is_none()
    }

    /// Writes it for `status`.
    pub fn write(&self, state: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec(self)
            .map_err(|e| Error::new(cni::Code::IO, format!("write the agent's state: {e}")))?;
        publish(&path(state), Form::State, &text, 0o644).map(drop)
    }

    /// What an agent wrote last, if one ever ran here.
    pub fn read(state: &Path) -> Option<Self> {
        let text = publish::read(&path(state)).ok()?;
        let read: Self = Json::parse(&text, "the agent's state").ok()?.decode().ok()?;
        (read.version == VERSION).then_some(read)
    }
}

/// Where it is written.
pub fn path(state: &Path) -> PathBuf {
    state.join("agent.json")
}

/// The state, shared with those that show it.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// The same for all clones.
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// To look at or change; not to be held for long.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
