//! `podwire`: the operator's tool. See README.md.

mod agent;
mod devices;
mod failure;
mod nad;
mod plain;

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// Looks at a node's devices and networks as the Podwire plugins do
#[derive(Debug, Parser)]
#[command(name = "podwire", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Agent(Box<agent::Command>),
    Devices(devices::Arguments),
    Nad(nad::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::new(io::stdout().lock());
    let ended = match arguments.command {
        Command::Agent(command) => agent::run(*command, &mut out),
        Command::Devices(arguments) => devices::run(&arguments, &mut out),
        Command::Nad(arguments) => nad::run(&arguments, &mut out),
    };
    // What was written before a failure is still worth reading.
    let flushed = out.flush().map_err(Failure::Output);
    match ended.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
