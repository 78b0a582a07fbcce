//! How a container is joined to a node: a veth whose near end is a port of a bridge ([`bridge`]) or
//! is routed to ([`ptp`]), or one link of its own ([`single`]). The executables of these names are thin; what else attaches containers
//! (host-gw, vxlan, ipip) does it through here too.
//!
//! ADD makes what is wanted and takes back its own steps when one fails, CHECK compares, DEL
//! removes what the attachment owns and goes on after errors, GC removes what is not listed.

pub mod ability;
pub mod bridge;
pub mod config;
pub mod container;
mod dad;
pub mod ends;
pub mod finding;
pub mod forwarding;
mod gateway;
mod guard;
pub mod lease;
pub mod owner;
pub mod ptp;
mod router;
pub mod single;
mod teardown;
pub mod undo;
pub mod veth;
