//! `podwire cleanup`: takes a network away from a node.

use std::io::Write;
use std::process::ExitCode;

use super::HANDOVER;
use crate::agent::arguments::Arguments;
use crate::agent::network::Network;
use crate::agent::publish::{self, Form};
use crate::agent::{reconcile, state};
use crate::failure::Failure;
use crate::plain::plain;

/// Removes all that is ours and prints what that was. Containers keep their interfaces: those are DEL's.
pub fn cleanup(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let network = Network::read(&arguments.network)?;
    let _alone = reconcile::alone(&network, HANDOVER)?;
    for command in cluster::node::retire(&network.config)? {
        writeln!(out, "{}", plain(&command))?;
    }
    let mut files = vec![(state::path(network.state()), Form::State)];
    // Last of all: it says where our routes are.
    if !arguments.follows_the_plugins_own() {
        files.push((network.peers_file.clone(), Form::Peers));
    }
    files.extend(arguments.subnet_env.clone().map(|path| (path, Form::SubnetEnv)));
    let mut left = None;
    for (file, form) in files {
        match publish::discard(&file, form) {
            Ok(true) => writeln!(out, "rm {}", plain(&file.display().to_string()))?,
            Ok(false) => {}
            // Somebody else's, or it cannot be had: the others go all the same.
            Err(error) => left = Some(error),
        }
    }
    left.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}
