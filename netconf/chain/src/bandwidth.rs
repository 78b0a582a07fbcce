//! `bandwidth`: limits what a container receives and sends, at the node's end of its veth. What it
//! receives leaves that end through a token bucket filter; what it sends comes in there, is redirected to
//! an IFB device of its own, and leaves that through another one.

mod add;
mod check;
mod config;
mod device;
mod limit;

pub use add::add;
pub use check::check;

use attach::ability::unavailable;
use attach::owner;
use cni::{Call, Error, GcCall, StatusCall, Version};
use kernel::link;
use kernel::{Netns, Socket, tc};

use config::Config;

/// The reference speaks no version whose results name no interfaces.
pub const VERSIONS: &[Version] =
    &[Version::V0_3_0, Version::V0_3_1, Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

/// Where our filter stands among those of the node's end: behind those that were given no priority
/// (49152 and less) and those of others, who may want to see packets before they are taken.
const PRIORITY: u16 = 50_000;

/// Removes the IFB device. Filters and queueing disciplines of the node's end go with it.
pub fn del(call: &Call) -> Result<(), Error> {
    let host = Socket::open()?;
    let ours = device::find(&host, &call.attachment)?;
    let foreign = match ours {
        Some(_) => None,
        None => device::of_reference(&host, call)?,
    };
    let errors = ours.iter().chain(&foreign).filter_map(|link| device::remove(&host, link).err());
    Error::all(errors.map(Error::from).collect())
}

/// Removes the IFB devices of the network's attachments that are not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    let is_stale = owner::stale(&call.conf.network, valid);
    let host = Socket::open()?;
    let all = link::list(&host)?;
    let errors = all
        .iter()
        .filter(|link| link.kind == "ifb" && link.alias.as_deref().is_some_and(&is_stale));
    let errors = errors.filter_map(|link| device::remove(&host, link).err());
    Error::all(errors.map(Error::from).collect())
}

/// Says whether an ADD could be served: the options hold together, the kernel has all it takes.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    Config::parse(&call.conf)?;
    Netns::trial(|| {
        let socket = Socket::open()?;
        socket.run(link::create_ifb("trial", 1500))?;
        let Some(trial) = link::get(&socket, "trial")? else { return Ok(()) };
        let requests = [
            tc::set_tbf(&trial, 1_000_000, 100_000, 100_000),
            tc::create_classifier(&trial),
            tc::redirect(&trial, PRIORITY, &trial),
        ];
        socket.run_all(&requests).into_iter().collect()
    })
    .map_err(unavailable)
}
