//! The one crate that talks to the kernel: netlink, namespaces, sysctls.
//!
//! Requests are built with rtnetlink's message builders and sent by [`Socket`], which is
//! synchronous: a plugin lives for some milliseconds and does one thing after the other, so a
//! runtime would cost it more than it gives. What may be sent without waiting for an answer goes
//! out as one datagram ([`Socket::run_all`]).

pub mod address;
mod attributes;
mod boot;
pub mod datagram;
pub mod durable;
mod error;
pub mod events;
mod extended_ack;
pub mod fault;
pub mod fdb;
mod glance;
pub mod link;
mod lock;
mod mac;
mod message;
pub mod neighbour;
pub mod netfilter;
mod netns;
pub mod offload;
pub mod packet;
pub mod regular;
pub mod route;
pub mod rule;
pub mod selinux;
mod socket;
pub mod sysctl;
pub mod tc;

pub use boot::boot_id;
pub use error::{Error, Result};
pub use glance::{Look, Seen, glance};
pub use lock::Lock;
pub use mac::MacAddr;
pub use message::Request;
pub use netns::Netns;
pub use socket::Socket;
