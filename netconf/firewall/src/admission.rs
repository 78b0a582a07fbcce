//! Admission: a container's forwarded packets get past the node's filter, and an ingress policy
//! keeps other bridges' containers away from it. What the plugin `firewall` does.
//!
//! To accept a packet in a chain of our own says nothing: every other base chain of the hook still
//! has its say, such as that of iptables whose policy Docker sets to DROP. So the packet has to be
//! accepted there, and there are three ways to it:
//! - [`Backend::Nftables`]: what is admitted is marked in our own table, by a look in a set, and
//!   one rule in iptables' chain accepts what is marked. That rule is the same however many
//!   containers there are, and is in the terms of iptables, so that its tools can list and save
//!   it (see `gate`).
//! - [`Backend::Iptables`]: the reference plugin's two rules per address, by executing iptables.
//! - [`Backend::Firewalld`]: the address becomes a source of a zone.
//!
//! Ingress policies drop, which is final wherever it happens: in our own table, but for
//! [`Backend::Iptables`], which keeps to the reference's chains.

mod add;
mod check;
mod gate;
mod layout;
mod legacy;
mod remove;
mod rules;
mod status;
mod wanted;
mod zone;

pub use add::add;
pub use check::check;
pub use layout::MARK;
pub use remove::{del, gc, used};
pub use status::status;
pub use wanted::{Backend, Ingress, Policy, Wanted};
