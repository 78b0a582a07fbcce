//! Joining a container to a bridge: a veth whose host end is a port of it.

mod add;
mod check;
mod config;
mod device;
mod vlans;

pub use add::add;
pub use check::check;
pub use config::Config;

use cni::{Call, Error, GcCall, StatusCall};
use kernel::Socket;
use kernel::link;

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

/// Says whether an ADD could be served: the config holds together, nothing stands in the bridge's
/// place, the kernel has the links and the firewall that are asked for, IPAM has addresses.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Config::parse(&call.conf, None)?;
    let host = Socket::open().map_err(unavailable)?;
    match link::get(&host, conf.bridge.as_str()).map_err(unavailable)? {
        Some(found) if found.kind != "bridge" => {
            return Err(unavailable(device::not_a_bridge(&found)));
        }
        _ => ability::try_links(Some(conf.vlans.is_some()))?,
    }
    if conf.masquerade.is_some() {
        firewall::status().map_err(unavailable)?;
    }
    if conf.spoof_check {
        firewall::antispoof_status().map_err(unavailable)?;
    }
    ability::ask_ipam(call)
}
