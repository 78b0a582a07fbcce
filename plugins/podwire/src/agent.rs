//! The node agent: keeps what leads to the other nodes' pods as the fleet's description says, whoever
//! joins, leaves, or damages it. `agent` runs for ever; `plan`, `once`, `status` and `cleanup` are
//! its steps one by one.

mod arguments;
mod backoff;
mod command;
mod log;
mod metrics;
mod monitor;
mod network;
mod publish;
mod reconcile;
mod report;
mod round;
mod serve;
mod service;
mod source;
mod state;
mod subnet;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;
use cni::{Code, Error};
use tokio::runtime::Runtime;

use crate::failure::Failure;
use arguments::Arguments;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keeps the node's part of a network in line with the fleet, until it is stopped
    Agent(Arguments),
    /// Shows what would be changed, as ip and bridge commands; changes nothing
    Plan(Arguments),
    /// Brings the node's part in line once
    Once(Arguments),
    /// Shows the peers, how each is reached, and how the agent fares; asks no source: what counts is the
    /// plugins' peersFile
    Status(command::StatusArguments),
    /// Removes all that the network has on this node and nothing else
    Cleanup(Arguments),
}

/// Does it.
pub fn run(command: Command, out: &mut impl Write) -> Result<ExitCode, Failure> {
    match command {
        Command::Agent(arguments) => reconcile::run(&arguments),
        Command::Plan(arguments) => command::plan(&arguments, out),
        Command::Once(arguments) => command::once(&arguments, out),
        Command::Status(arguments) => command::status(&arguments, out),
        Command::Cleanup(arguments) => command::cleanup(&arguments, out),
    }
}

/// One thread for all that waits; what blocks goes to others.
fn runtime() -> Result<Runtime, Error> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|e| Error::new(Code::IO, format!("start the runtime: {e}")))
}
