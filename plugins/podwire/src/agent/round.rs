//! One round: the description of the fleet to the plugins' file, and from there into the kernel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cni::Error;
use peers::Outcome;

use super::network::Network;
use super::publish::publish;
use super::source::Snapshot;

/// What a round brought.
#[derive(Debug)]
pub struct Round {
    /// What was found and done, or why nothing could be.
    pub outcome: Result<Outcome, Error>,
    /// The plugins' file was written anew.
    pub published: bool,
    /// Why it could not be.
    pub unpublished: Option<Error>,
    /// How long it took.
    pub took: Duration,
}

/// Runs one; blocks. Without a snapshot what the plugins' file says holds: that of the time before, or
/// somebody else's.
pub fn run(network: &Network, snapshot: Option<&Arc<Snapshot>>) -> Round {
    let begun = Instant::now();
    let mut published = false;
    let mut unpublished = None;
    let outcome = match snapshot {
        None => cluster::node::reconcile(&network.config),
        Some(snapshot) => {
            // Theirs alone may read it, as the record beside it. Where it cannot be written, the kernel
            // follows all the same.
            match publish(&network.peers_file, &snapshot.text, 0o600) {
                Ok(anew) => published = anew,
                Err(error) => unpublished = Some(error),
            }
            cluster::node::reconcile(&network.of_fleet(snapshot))
        }
    };
    let outcome = outcome.map(|mut outcome| {
        if let Some(snapshot) = snapshot {
            outcome.ground.faults.extend(snapshot.faults.iter().cloned());
        }
        outcome
    });
    Round { outcome, published, unpublished, took: begun.elapsed() }
}
