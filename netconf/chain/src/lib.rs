//! The plugins that follow another one in a network's list, and refine what it made: `bandwidth`,
//! `firewall`, `portmap`, `sbr`, `tuning`, `vrf`. The executables of these names are thin.
//!
//! They give the previous result on, with what they changed of it, and work on the interface
//! `CNI_IFNAME` of the container.

pub mod bandwidth;
pub mod firewall;
pub mod portmap;
mod previous;
pub mod sbr;
mod tables;
pub mod tuning;
pub mod vrf;

pub use previous::{inside, peer, previous};
