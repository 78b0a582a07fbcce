//! NetworkAttachmentDefinitions and what Multus makes of them, by version 1.3 of the Kubernetes
//! Network Custom Resource Definition De-facto Standard ("the multi-network specification") and, where
//! that leaves something open or Multus does otherwise, by Multus.
//!
//! Pure values, but for the files of device information and the directory of configurations. Whoever
//! only wants [`device_info`] links nothing of the rest: YAML is read in [`manifest`] alone.

mod definition;
pub mod device_info;
mod directory;
pub mod lint;
pub mod manifest;
mod marshal;
pub mod multus;
mod name;
mod network;
mod pod;
pub mod selection;
pub mod status;

pub use definition::{Definition, RESOURCE_NAME};
pub use network::{Network, PluginConf};
pub use pod::{DEFAULT_NETWORK, NETWORKS, Pod};
pub use selection::Selection;
