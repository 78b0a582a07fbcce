//! Every suite in one executable, which `scripts/vm` can run on another kernel.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod agent;
mod architecture;
mod bad_input;
mod bridge;
mod concurrent;
mod conf;
mod delegation;
mod dhcp;
mod examples;
mod faults;
mod flannel;
mod fleets;
mod hardware;
mod host_device;
mod ipam;
mod kit;
mod loopback;
mod multus;
mod nads;
mod neighbours;
mod nodes;
mod ownership;
mod protocol;
mod ptp;
mod reference;
mod sriov;
mod teardown;
mod walk;
