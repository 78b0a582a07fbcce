//! Joining a container by a routed veth: no bridge, the node is the container's only neighbour.

mod add;
mod check;
mod config;
mod plan;

pub use add::add;
pub use check::check;
pub use config::Config;

use cni::{Call, Code, Error, GcCall, StatusCall};
use ipam::Ipam;

use crate::teardown;

/// Removes the attachment.
pub fn del(call: &Call) -> Result<(), Error> {
    teardown::del(call)
}

/// Removes the attachments of the network that are not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    teardown::gc(call)
}

/// Says whether an ADD could be served: the config holds together, the firewall can do what is
/// asked, IPAM has addresses.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    if conf.masquerade {
        firewall::status().map_err(|e| Error { code: Code::NOT_AVAILABLE, ..Error::from(e) })?;
    }
    match Ipam::of(&call.conf, &call.path)? {
        Some(ipam) => ipam.status(call),
        None => Ok(()),
    }
}
