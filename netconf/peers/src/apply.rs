//! Applying changes.

use cni::Error;
use kernel::Socket;

use crate::{Change, Fault};

/// Applies the changes. What the kernel refuses of a single peer is a fault of that peer; what all
/// depend on must succeed.
pub fn apply(socket: &Socket, changes: &[Change]) -> Result<Vec<Fault>, Error> {
    let requests: Vec<_> = changes.iter().map(Change::request).collect();
    let mut faults = Vec::new();
    for (change, outcome) in std::iter::zip(changes, socket.run_all(&requests)) {
        let Err(refused) = outcome else { continue };
        let removes = matches!(
            change,
            Change::RemoveAddress(..)
                | Change::RemoveNeighbour(..)
                | Change::RemoveEntry(..)
                | Change::RemoveRoute(..)
        );
        match change {
            _ if removes && refused.is_gone() => {}
            Change::AddAddress(..) if refused.is_exists() => {}
            Change::AddAddress(..) | Change::SetRoute(None, _) => return Err(refused.into()),
            _ => faults.push(Fault {
                peer: concerns(change),
                reason: format!("{change}: {}", Error::from(refused)),
            }),
        }
    }
    Ok(faults)
}

/// Whom a change is about: a peer's network or address.
fn concerns(change: &Change) -> String {
    match change {
        Change::AddAddress(_, address) | Change::RemoveAddress(_, address) => address.to_string(),
        Change::SetNeighbour(_, n) | Change::RemoveNeighbour(_, n) => n.ip.to_string(),
        Change::SetEntry(_, entry) | Change::RemoveEntry(_, entry) => entry.vtep.to_string(),
        Change::SetRoute(_, route) => route.dst.to_string(),
        Change::RemoveRoute(installed, _) => installed.route.dst.to_string(),
    }
}
