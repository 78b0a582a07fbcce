//! The ground that tests on a real kernel stand on: network namespaces as nodes and pods, a runtime
//! that calls plugins as libcni does, traffic, and snapshots of what a node has.
//!
//! Everything is judged by other tools (`ip -j`, `bridge -j`, `nft -j`, `ping`), never by our own
//! code; this crate depends on none of it. It works as root and inside `unshare -rnm`, in parallel, and
//! never changes the namespace that it was started in.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod attachment;
mod call;
mod executable;
mod fleet;
mod need;
mod netns;
mod node;
mod physical;
mod pings;
mod pod;
mod snapshot;
mod sysfs;
mod traffic;

pub use attachment::Attachment;
pub use call::{Call, Output, PluginError};
pub use executable::{directory, found, reference_directory};
pub use fleet::{Fleet, Pods, ROUTER_V4, ROUTER_V6, Roster, UNDERLAY, Underlay};
pub use need::{Feature, not_run};
pub use netns::Netns;
pub use node::{Node, OUTSIDE_V4, OUTSIDE_V6, UPLINK_V4, UPLINK_V6};
pub use physical::Pf;
pub use pings::Pings;
pub use pod::Pod;
pub use snapshot::Snapshot;
pub use sysfs::{Sysfs, SysfsDevice, SysfsLink};
pub use traffic::{Seen, fits, ping, silent, tcp, too_big, transfer, udp};

/// Every version of the protocol, the oldest first.
pub const VERSIONS: &[&str] = &["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
