//! Ports of the node that lead into containers, as one element of a map each: a new mapping adds
//! no rule and rewrites none, whatever others there are (see `layout`).
//!
//! A port has one owner. Whoever asks for one that another container holds is refused, with the
//! owner's name, before anything is done.
//!
//! [`iptables`] makes the same of chains and rules, for those who ask for it.

mod add;
mod check;
mod condition;
mod group;
pub mod iptables;
mod later;
mod layout;
mod listing;
mod reference;
mod remove;
mod status;
mod wanted;

pub use add::{Failure, Taken, add};
pub use check::check;
pub use condition::Conditions;
pub use remove::{del, gc};
pub use status::status;
pub use wanted::{At, Mapping, Protocol, Snat, Wanted};
