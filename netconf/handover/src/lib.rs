//! Devices of the node handed over to containers, and back: the journal that remembers what a device
//! was like, the move, the settings of virtual functions, and the verbs of the plugins `sriov` and
//! `host-device`, which differ in their options alone.

mod plugin;
pub mod sriov;
pub mod vf;
mod wanted;

pub use plugin::{Handover, Kind};
pub use wanted::{OnUnsupported, Wanted};
