//! Devices of the node handed over to containers, and back: the journal that remembers what a device
//! was like, the move, the settings of virtual functions, and the verbs of the plugins `sriov` and
//! `host-device`, which differ in their options alone.

mod add;
mod back;
mod check;
mod del;
mod desk;
mod give;
mod info;
pub mod journal;
mod locate;
mod mend;
mod plugin;
mod predecessor;
pub mod record;
mod refuse;
pub mod sriov;
mod standing;
mod text;
pub mod vf;
mod virtual_function;
mod wanted;

pub use desk::{device_of, is_lent};
pub use plugin::{Handover, Kind};
pub use wanted::{OnUnsupported, Sought, Wanted, link_device};
