//! Joining a container by a routed veth: no bridge, the node is the container's only neighbour.

mod add;
mod check;
mod config;
mod plan;

pub use add::add;
pub use check::check;
pub use config::Config;

use cni::{Call, Error, GcCall, StatusCall};

use crate::ability::{self, unavailable};
use crate::teardown;

/// Removes the attachment.
pub fn del(call: &Call) -> Result<(), Error> {
    teardown::del(call)
}

/// Removes the attachments of the network that are not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    teardown::gc(call)
}

/// Says whether an ADD could be served: the config holds together, the kernel has the links and
/// the firewall that are asked for, IPAM has addresses.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    ability::try_links(None)?;
    if conf.masquerade.is_some() {
        firewall::status().map_err(unavailable)?;
    }
    ability::ask_ipam(call)
}
