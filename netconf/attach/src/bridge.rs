//! Joining a container to a bridge: a veth whose host end is a port of it.

mod add;
mod check;
mod config;
mod device;
mod vlans;

pub use add::add;
pub use check::check;
pub use config::Config;

use cni::{Call, Code, Error, GcCall, StatusCall};
use ipam::Ipam;
use kernel::Socket;
use kernel::link;

use crate::teardown;

/// Removes the attachment.
pub fn del(call: &Call) -> Result<(), Error> {
    teardown::del(call)
}

/// Removes the attachments of the network that are not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    teardown::gc(call)
}

/// Says whether an ADD could be served: the config holds together, nothing stands in the bridge's
/// place, the firewall can do what is asked, IPAM has addresses.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::parse(&call.conf, None)?;
    let unavailable = |e: Error| Error { code: Code::NOT_AVAILABLE, ..e };
    let host = Socket::open().map_err(Error::from).map_err(unavailable)?;
    if let Some(found) = link::get(&host, conf.bridge.as_str())?
        && found.kind != "bridge"
    {
        return Err(unavailable(device::not_a_bridge(&found)));
    }
    if conf.masquerade || conf.spoof_check {
        firewall::status().map_err(Error::from).map_err(unavailable)?;
    }
    match Ipam::of(&call.conf, &call.path)? {
        Some(ipam) => ipam.status(call),
        None => Ok(()),
    }
}
