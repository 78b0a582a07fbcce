//! One round: the description of the fleet to the plugins' file, and from there into the kernel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cni::Error;
use peers::{Outcome, Pending};

use super::network::Network;
use super::publish::{Form, publish};
use super::source::Snapshot;

/// What a round brought.
#[derive(Debug)]
pub struct Round {
    /// What was found and done, or why nothing could be.
    pub outcome: Result<Outcome, Error>,
    /// Why the plugins' file could not be written.
    pub unpublished: Option<Error>,
    /// How long it took.
    pub took: Duration,
}

/// Runs one; blocks. Without a snapshot what the plugins' file says holds: that of the time before, or
/// somebody else's.
pub fn run(network: &Network, snapshot: Option<&Arc<Snapshot>>) -> Round {
    let begun = Instant::now();
    let mut unpublished = None;
    let outcome = match snapshot {
        None => cluster::node::reconcile(&network.config),
        Some(snapshot) => {
            // Theirs alone may read it, as the record beside it. Where it cannot be written, the kernel
            // follows all the same.
            unpublished = publish(&network.peers_file, Form::Peers, &snapshot.text, 0o600).err();
            cluster::node::reconcile(&network.of_fleet(snapshot))
        }
    };
    let outcome = outcome.map(|mut outcome| {
        if let Some(snapshot) = snapshot {
            outcome.ground.faults.extend(snapshot.faults.iter().cloned());
        }
        outcome
    });
    Round { outcome, unpublished, took: begun.elapsed() }
}

/// Records what the last round left pending; false where all has to be compared instead.
pub fn confirm(
    network: &Network,
    snapshot: Option<&Arc<Snapshot>>,
    pending: &Pending,
) -> Result<bool, Error> {
    match snapshot {
        None => cluster::node::confirm(&network.config, pending),
        Some(snapshot) => cluster::node::confirm(&network.of_fleet(snapshot), pending),
    }
}
