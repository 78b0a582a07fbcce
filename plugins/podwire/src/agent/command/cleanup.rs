//! `podwire cleanup`: takes a network away from a node.

use std::io::Write;
use std::process::ExitCode;

use cni::{Code, Error};
use kernel::durable;

use super::HANDOVER;
use crate::agent::arguments::Arguments;
use crate::agent::network::Network;
use crate::agent::{reconcile, state};
use crate::failure::Failure;

/// Removes all that is ours and prints what that was. Containers keep their interfaces: those are DEL's.
pub fn cleanup(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let network = Network::read(&arguments.network)?;
    let _alone = reconcile::alone(&network, HANDOVER)?;
    for command in cluster::node::retire(&network.config)? {
        writeln!(out, "{command}")?;
    }
    let mut files = vec![state::path(network.state())];
    // Last of all: it says where our routes are.
    if !arguments.follows_the_plugins_own() {
        files.push(network.peers_file.clone());
    }
    files.extend(arguments.subnet_env.clone());
    for file in files {
        let removed = durable::discard(&file);
        let removed =
            removed.map_err(|e| Error::new(Code::IO, format!("remove {}: {e}", file.display())))?;
        if removed {
            writeln!(out, "rm {}", file.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
