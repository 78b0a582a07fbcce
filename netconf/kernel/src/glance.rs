//! Several looks at the kernel's state at the price of one.

use std::net::IpAddr;

use crate::link::{self, Link};
use crate::route::{self, Lookup};
use crate::{Result, Socket};

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The link of an index.
    Link(u32),
    /// Where packets to an address go.
    Route(IpAddr),
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The link; `None` when there is none.
    Link(Option<Box<Link>>),
    /// The route that the kernel takes; `None` when there is none.
    Route(Option<Lookup>),
}

/// Looks at all of them, in one datagram where they are few. One answer per look, in order.
pub fn glance(socket: &Socket, looks: &[Look]) -> Vec<Result<Seen>> {
    let requests: Vec<_> = looks
        .iter()
        .map(|look| match look {
            Look::Link(index) => link::request_by_index(*index),
            Look::Route(address) => route::request(*address),
        })
        .collect();
    std::iter::zip(looks, socket.answers(&requests))
        .map(|(look, answer)| match look {
            Look::Link(_) => link::read(answer).map(|link| Seen::Link(link.map(Box::new))),
            Look::Route(address) => route::found(*address, answer).map(Seen::Route),
        })
        .collect()
}
