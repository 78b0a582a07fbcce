//! STATUS: whether this kernel has what is needed.

use std::net::IpAddr;

use kernel::Result;

use super::group::Group;
use super::layout::{self, PORTS};
use crate::nft::{INET, Table};
use crate::status::{TRIAL, tried};

/// Fails when no port could be led into a container: no right to, or a kernel without nf_tables,
/// its nat chains, its maps, `fib`, `dnat` or `masquerade`.
pub fn status() -> Result<()> {
    let table = Table { family: INET, name: TRIAL };
    // An address for documentation (RFC 5737).
    let group = Group::needed(IpAddr::from([192, 0, 2, 1]).into());
    let mut trial = layout::table(table);
    trial.extend(group.create(table));
    tried(PORTS, trial)
}
