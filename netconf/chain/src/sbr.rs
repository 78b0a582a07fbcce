//! `sbr`: what a container sends from an address of an interface leaves by that interface. Each address gets
//! a table, with the interface's routes, and a rule that leads there.
//!
//! All of it is in the container's namespace and ends with it, so that there is nothing to collect.

mod add;
mod check;
mod config;
mod del;
mod wanted;

pub use add::add;
pub use check::check;
pub use del::del;

use attach::ability::unavailable;
use cni::{Call, Error, GcCall, IpConfig, StatusCall};
use kernel::{Netns, Socket, rule};

use config::Config;

/// Who made a rule (`RTPROT_*`), where its table is ours; of routes, that they were not there before.
const PROTOCOL: u8 = 113;
/// Who made a rule to a table of somebody else.
const PROTOCOL_OF_RULES: u8 = 114;
/// Where the reference begins, too.
const FIRST_TABLE: u32 = 100;

/// The interface's own addresses in the previous result.
fn addresses(call: &Call) -> Vec<IpConfig> {
    let ifname = call.attachment.ifname.as_str();
    let sandbox = call.netns.as_deref().map(|path| path.to_string_lossy().into_owned());
    call.prev_result.as_ref().map_or_else(Vec::new, |result| {
        attach::container::own_addresses(result, ifname, &sandbox.unwrap_or_default())
    })
}

/// Nothing of an attachment is outside of its container's namespace.
///
/// # Errors
/// None.
pub fn gc(_: &GcCall) -> Result<(), Error> {
    Ok(())
}

/// Says whether an ADD could be served: the options hold together, the kernel has rules.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    Config::parse(&call.conf)?;
    Netns::trial(|| Socket::open()?.run(rule::add([192, 0, 2, 1].into(), FIRST_TABLE, PROTOCOL)))
        .map_err(unavailable)
}
