//! `podwire devices`: what the node has, what drives it, and whose it is.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::failure::Failure;

/// Lists the node's network devices, what drives them and who has them
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print a JSON array, as README.md describes it
    #[arg(long)]
    json: bool,
    /// Where `sriov` and `host-device` keep their records (their `stateDir`)
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/cni/podwire/devices")]
    state_dir: PathBuf,
}

/// Prints them.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let _ = (arguments.json, &arguments.state_dir);
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}
