//! `vrf`: the container's interface is routed by the table of a VRF, which interfaces of one name of a VRF
//! share.
//!
//! All of it is in the container's namespace and ends with it, so that there is nothing to collect.

mod add;
mod check;
mod config;
mod del;
mod port;

pub use add::add;
pub use check::check;
pub use del::del;

use attach::ability::unavailable;
use cni::{Error, GcCall, StatusCall, Version};
use kernel::{Netns, Socket, link};

use config::Config;

/// The reference speaks these.
pub const VERSIONS: &[Version] =
    &[Version::V0_3_1, Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

/// Nothing of an attachment is outside of its container's namespace.
///
/// # Errors
/// None.
pub fn gc(_: &GcCall) -> Result<(), Error> {
    Ok(())
}

/// Says whether an ADD could be served: the options hold together, the kernel has VRFs.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    Config::parse(&call.conf)?;
    Netns::trial(|| Socket::open()?.run(link::create_vrf("trial", 1))).map_err(unavailable)
}
