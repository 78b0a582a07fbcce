//! STATUS: whether this kernel has what is needed.

use std::io;
use std::net::IpAddr;

use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use crate::group::Group;
use crate::layout::{self, ANTISPOOF, MASQUERADE};
use crate::nft::{BRIDGE, INET, Table};
use crate::socket::with_socket;

/// A name that nobody uses. The trial that bears it is always refused at its end, so such a table
/// never comes to be.
pub(crate) const TRIAL: &str = "podwire-trial";

/// Fails when masquerade could not be set up: no right to, or a kernel without nf_tables, its nat
/// chains, its maps to counters or `masquerade`.
pub fn status() -> Result<()> {
    let table = Table { family: INET, name: TRIAL };
    // An address for documentation (RFC 5737).
    let address = IpAddr::from([192, 0, 2, 1]).into();
    let group = Group::alone(address);
    let mut trial = layout::masquerade(table);
    trial.extend(group.create(table));
    tried(MASQUERADE, trial)
}

/// Fails when anti-spoofing could not be set up: as [`status`], for the family `bridge`.
pub fn antispoof_status() -> Result<()> {
    let table = Table { family: BRIDGE, name: TRIAL };
    tried(ANTISPOOF, layout::antispoof(table))
}

/// Passes when the real table is in place, or when the trial has no fault but the one put in.
pub(crate) fn tried(table: Table, mut trial: Vec<Request>) -> Result<()> {
    let fault = trial.len();
    trial.push(Table { family: table.family, name: "podwire-no-such-table" }.delete());
    with_socket(|socket| match socket.get(table.get())? {
        Some(_) => Ok(()),
        None => refused_for(socket, &trial, fault),
    })
}

fn refused_for(socket: &mut Socket, trial: &[Request], fault: usize) -> Result<()> {
    match socket.transact(trial, None) {
        Err(refused) if refused.refusals.iter().all(|r| r.index == Some(fault)) => Ok(()),
        Err(refused) => Err(Error::from(refused)),
        Ok(()) => {
            let surprise = io::Error::from_raw_os_error(libc::EBADMSG);
            Err(Error::new("try out", "nf_tables", surprise))
        }
    }
}
