//! What the log tells of a round.

use std::collections::BTreeSet;

use cni::Error;
use peers::{Fault, Outcome};
use tracing::{debug, error, info, warn};

use super::round::Round;
use super::state::State;

/// How many of a kind are told one by one.
const TOLD: usize = 20;

/// Tells what is new against the state before.
pub fn round(before: &State, round: &Round, causes: &str) {
    let ms = u64::try_from(round.took.as_millis()).unwrap_or(u64::MAX);
    match &round.outcome {
        Ok(outcome) => done(before, outcome, causes, ms),
        Err(e) => {
            trouble(
                before.trouble.as_ref().map(|t| t.what.as_str()),
                e,
                "cannot bring the node in line",
            );
        }
    }
    if let Some(e) = &round.unpublished {
        let before = before.unpublished.as_ref().map(|t| t.what.as_str());
        trouble(before, e, "cannot write the plugins' peersFile");
    }
}

/// Tells what is wrong, once as long as it stays the same.
pub fn trouble(before: Option<&str>, e: &Error, what: &str) {
    if before == Some(e.to_string().as_str()) {
        debug!(error = %e, "{what}");
    } else {
        error!(error = %e, "{what}");
    }
}

fn done(before: &State, outcome: &Outcome, causes: &str, ms: u64) {
    if before.trouble.is_some() {
        info!("the node can be brought in line again");
    }
    let changes = outcome.len();
    if changes == 0 {
        debug!(causes, ms, "all is in line");
    } else {
        info!(causes, changes, ms, peers = outcome.fleet.peers.len(), "brought in line");
        for (n, step) in outcome.steps().iter().enumerate() {
            let peer = step.peer.unwrap_or_default();
            if n < TOLD {
                info!(peer, "{}", step.command);
            } else {
                debug!(peer, "{}", step.command);
            }
        }
    }
    faults(&before.faults, &outcome.ground.faults);
}

fn faults(before: &[Fault], now: &[Fault]) {
    let known: BTreeSet<&Fault> = before.iter().collect();
    let fresh: Vec<&Fault> = now.iter().filter(|fault| !known.contains(fault)).collect();
    for Fault { peer, reason } in fresh.iter().take(TOLD) {
        warn!(peer, "not served: {reason}");
    }
    if fresh.len() > TOLD {
        warn!("{} more peers are not served, see podwire status", fresh.len() - TOLD);
    }
    let still: BTreeSet<&str> = now.iter().map(|fault| fault.peer.as_str()).collect();
    let gone: BTreeSet<&str> = before.iter().map(|fault| fault.peer.as_str()).collect();
    for peer in gone.difference(&still).take(TOLD) {
        info!(peer, "nothing is wrong with it any more");
    }
}
