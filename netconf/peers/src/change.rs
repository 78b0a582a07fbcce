//! One change of the kernel's state, as a request and as the command that does the same.

use std::fmt;

use ipnetwork::IpNetwork;
use kernel::fdb::Entry;
use kernel::link::Link;
use kernel::neighbour::Neighbour;
use kernel::route::{Installed, Route};
use kernel::{Request, address};

/// A change. It is shown as the `ip` or `bridge` command that does the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An address comes to a link.
    AddAddress(Link, IpNetwork),
    /// An address leaves a link.
    RemoveAddress(Link, IpNetwork),
    /// A permanent neighbour entry is made or changed.
    SetNeighbour(Link, Neighbour),
    /// One is removed.
    RemoveNeighbour(Link, Neighbour),
    /// An FDB entry is made or changed.
    SetEntry(Link, Entry),
    /// One is removed.
    RemoveEntry(Link, Entry),
    /// A route is made or changed; a blackhole has no link.
    SetRoute(Option<Link>, Route),
    /// A route is removed; the text is the link's name.
    RemoveRoute(Installed, String),
}

impl Change {
    /// The request that does it.
    pub fn request(&self) -> Request {
        todo!()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
