//! STATUS: whether this kernel has what is needed.

use std::io;

use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use crate::layout::{self, ANTISPOOF, MASQUERADE, POSTROUTING, PREROUTING};
use crate::nft::{BRIDGE, INET, Table, expression};
use crate::socket::with_socket;

/// A name that nobody uses. The trial that bears it is always refused at its end, so such a table
/// never comes to be.
const TRIAL: &str = "podwire-trial";

/// Fails when masquerade could not be set up: no right to, or a kernel without nf_tables, its nat
/// chains, its maps or `masquerade`.
pub fn status() -> Result<()> {
    let table = Table { family: INET, name: TRIAL };
    let mut rule = Vec::from(expression::of_family(true));
    rule.push(expression::masquerade());
    let trial = vec![
        table.create(""),
        table.create_base_chain(POSTROUTING, &layout::SOURCE_NAT),
        table.add_rule(POSTROUTING, &rule),
    ];
    tried(MASQUERADE, POSTROUTING, trial)
}

/// Fails when anti-spoofing could not be set up: as [`status`], for the family `bridge`.
pub fn antispoof_status() -> Result<()> {
    let table = Table { family: BRIDGE, name: TRIAL };
    let trial = vec![
        table.create(""),
        table.create_base_chain(PREROUTING, &layout::BEFORE_BRIDGE),
        table.add_rule(PREROUTING, &[expression::input_name(), expression::verdict(0)]),
    ];
    tried(ANTISPOOF, PREROUTING, trial)
}

/// Passes when the real table is in place, or when the trial has no fault but the one put in.
fn tried(table: Table, base: &str, mut trial: Vec<Request>) -> Result<()> {
    let fault = trial.len();
    trial.push(Table { family: table.family, name: "podwire-no-such-table" }.delete());
    with_socket(|socket| match socket.get(table.get_chain(base))? {
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
