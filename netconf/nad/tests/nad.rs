//! NetworkAttachmentDefinitions from the outside.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a test did not expect fails it"
)]

#[path = "nad/device_info.rs"]
mod device_info;
