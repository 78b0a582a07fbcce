//! The agent's steps one by one.

mod cleanup;
mod status;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cni::Error;
use peers::{Fault, Outcome};

use super::arguments::Arguments;
use super::network::Network;
use super::source::{self, Purpose, Snapshot};
use super::{reconcile, round, runtime, subnet};
use crate::failure::Failure;
use crate::plain::plain;

pub use cleanup::cleanup;
pub use status::{Arguments as StatusArguments, status};

/// What is shown differs from what should be. 2 is for arguments that make no sense.
const AMISS: u8 = 3;
/// How long an agent is waited for that is about to end.
const HANDOVER: Duration = Duration::from_secs(1);

/// What the source says now; nothing where it is the plugins' own file.
fn snapshot(
    purpose: Purpose,
    arguments: &Arguments,
    network: &Network,
) -> Result<Option<Arc<Snapshot>>, Error> {
    if arguments.follows_the_plugins_own() {
        return Ok(None);
    }
    let source = source::open_to(purpose, arguments, network)?;
    let runtime = runtime()?;
    let snapshot = runtime.block_on(source::first(source));
    runtime.shutdown_background();
    snapshot.map(Some)
}

/// Prints what would be done. The exit code is 0 whether or not there is anything to do.
pub fn plan(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let network = Network::read(&arguments.network)?;
    let snapshot = snapshot(Purpose::Look, arguments, &network)?;
    let prospect = match &snapshot {
        Some(snapshot) => cluster::node::prospect(&network.of_fleet(snapshot))?,
        None => cluster::node::prospect(&network.config)?,
    };
    print(&prospect.outcome, out)?;
    for (_, words) in &prospect.overruled {
        writeln!(out, "# {}", plain(words))?;
    }
    faults(&prospect.outcome.ground.faults, snapshot.as_deref(), out)?;
    Ok(ExitCode::SUCCESS)
}

/// Brings the node in line and prints what that took. 3 where a peer is not served.
pub fn once(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let network = Network::read(&arguments.network)?;
    let snapshot = snapshot(Purpose::Serve, arguments, &network)?;
    let _alone = reconcile::alone(&network, HANDOVER)?;
    let round = round::run(&network, snapshot.as_ref());
    let outcome = round.outcome?;
    print(&outcome, out)?;
    faults(&outcome.ground.faults, None, out)?;
    if let Some(path) = &arguments.subnet_env {
        subnet::write(path, &outcome, network.config.masquerade)?;
    }
    if let Some(error) = round.unpublished {
        return Err(error.into());
    }
    let all = outcome.ground.faults.is_empty();
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(AMISS) })
}

fn print(outcome: &Outcome, out: &mut impl Write) -> Result<(), Failure> {
    for step in outcome.steps() {
        writeln!(out, "{}", plain(&step.command.to_string()))?;
    }
    Ok(())
}

fn faults(
    faults: &[Fault],
    snapshot: Option<&Snapshot>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    for fault in faults.iter().chain(snapshot.into_iter().flat_map(|s| &s.faults)) {
        // A second line would be a command.
        writeln!(out, "# {}", plain(&fault.to_string()))?;
    }
    Ok(())
}
