//! NetworkAttachmentDefinitions from the outside.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a test did not expect fails it"
)]

#[path = "nad/device_info.rs"]
mod device_info;
#[path = "nad/directory.rs"]
mod directory;
#[path = "nad/lint.rs"]
mod lint;
#[path = "nad/manifest.rs"]
mod manifest;
#[path = "nad/render.rs"]
mod render;
#[path = "nad/round_trips.rs"]
mod round_trips;
#[path = "nad/selection.rs"]
mod selection;
#[path = "nad/status.rs"]
mod status;

/// A NetworkAttachmentDefinition of the namespace `default`.
fn definition(name: &str, config: &str) -> nad::Definition {
    nad::Definition {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        resource: None,
        config: Some(config.to_owned()),
    }
}

fn json(text: &str) -> cni::Json {
    cni::Json::parse(text.as_bytes(), "expected").unwrap()
}
