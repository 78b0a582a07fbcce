//! From a list of peers to the kernel's state: all of it pure, so that everything can be tried.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a test did not expect fails it"
)]

mod commands;
mod devices;
mod differences;
mod fleets;
mod plans;
mod properties;
mod sample;
mod spelling;
mod world;
