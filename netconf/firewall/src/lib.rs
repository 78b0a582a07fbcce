//! nf_tables over netlink: masquerade, anti-spoofing and [`ports`] of attachments, and their way
//! past the node's filter ([`admission`]). What an attachment needs is one transaction of a few
//! elements, because the rules are written once for all (see `layout`). Nothing is executed, but
//! iptables for those who ask for it and for tables of iptables-legacy.
//!
//! What a network of nodes exempts from masquerade, such as all of their addresses, is kept by
//! [`exempt`] for whoever keeps the nodes' routes.
//!
//! Everything acts in the network namespace of the calling thread. Every element tells in a
//! comment whose it is, so that DEL and GC need neither the link nor the address, and never remove
//! what is somebody else's by now. `nft list ruleset` shows it all.

mod add;
pub mod admission;
mod check;
mod conntrack;
pub mod exempt;
pub mod firewalld;
mod group;
mod iptables;
mod layout;
mod nft;
mod owner;
mod part;
pub mod ports;
pub mod reference;
mod remove;
mod socket;
mod status;
mod wanted;

pub use add::add;
pub use check::check;
pub use remove::{del, gc};
pub use status::{antispoof_status, status};
pub use wanted::{AntiSpoof, Masquerade, Wanted};
