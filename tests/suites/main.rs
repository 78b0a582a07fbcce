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
mod bandwidth;
mod bridge;
mod chained;
mod concurrent;
mod conf;
mod delegation;
mod dhcp;
mod dummy;
mod examples;
mod faults;
mod firewall;
mod flannel;
mod fleets;
mod hardware;
mod host_device;
mod ipam;
mod ipvlan;
mod kit;
mod loopback;
mod macvlan;
mod multus;
mod nads;
mod neighbours;
mod nodes;
mod ownership;
mod portmap;
mod protocol;
mod ptp;
mod reference;
mod sbr;
mod single;
mod sriov;
mod tap;
mod teardown;
mod tuning;
mod vlan;
mod vrf;
mod walk;
mod weaknesses;
