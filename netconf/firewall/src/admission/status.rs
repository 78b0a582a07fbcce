//! STATUS: whether an address could be admitted.

use std::io;

use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use super::gate::Gate;
use super::layout::{self, ADMISSION};
use super::wanted::Backend;
use super::zone;
use crate::iptables::{self, Iptables};
use crate::nft::{INET, Table};
use crate::socket::with_socket;

/// A name that nobody uses. The trial that bears it is always refused at its end, so such a table
/// never comes to be.
const TRIAL: &str = "podwire-trial";

/// Fails when the backend could not be served: no tool iptables, firewalld does not
/// run, a kernel without nf_tables or one of its parts.
pub fn status(backend: &Backend) -> Result<()> {
    match backend {
        Backend::Iptables => {
            // IPv6 is asked for when an address of it is.
            return Iptables::find(true).or_else(|_| Iptables::find(false)).map(drop);
        }
        Backend::Firewalld { .. } => zone::firewalld().map(drop)?,
        Backend::Nftables => {
            if iptables::is_legacy_in_use(false, "filter")
                && Iptables::legacy(false, "filter").is_none()
            {
                return Err(iptables::missing(false));
            }
        }
    }
    let gate = *backend == Backend::Nftables;
    with_socket(|socket| {
        tried(socket, ADMISSION, layout::admission(Table { family: INET, name: TRIAL }))?;
        if gate {
            opened(socket)?;
        }
        Ok(())
    })
}

/// Tries the gate in a chain that never comes to be, in the terms of iptables and in the kernel's
/// own.
fn opened(socket: &mut Socket) -> Result<()> {
    let gate = Gate::look(socket, false)?;
    let trial = |native| gate.open("podwire-trial", native);
    match refused_for(socket, trial(false)) {
        Ok(()) => Ok(()),
        Err(_) => refused_for(socket, trial(true)),
    }
}

/// Passes when the real table is in place, or when the trial has no fault but the one put in.
fn tried(socket: &mut Socket, table: Table, trial: Vec<Request>) -> Result<()> {
    match socket.get(table.get())? {
        Some(_) => Ok(()),
        None => refused_for(socket, trial),
    }
}

fn refused_for(socket: &mut Socket, mut trial: Vec<Request>) -> Result<()> {
    let fault = trial.len();
    trial.push(Table { family: INET, name: "podwire-no-such-table" }.delete());
    match socket.transact(&trial, None) {
        Err(refused) if refused.refusals.iter().all(|r| r.index == Some(fault)) => Ok(()),
        Err(refused) => Err(Error::from(refused)),
        Ok(()) => {
            let surprise = io::Error::from_raw_os_error(libc::EBADMSG);
            Err(Error::new("try out", "nf_tables", surprise))
        }
    }
}
