//! STATUS: whether an ADD could be served now.

use cni::{Code, Error, StatusCall};
use peers::Way;

use crate::config::Config;
use crate::derive::on_node;
use crate::node;

/// Code 50 when the peer file is missing or broken, the underlay has no interface, the kernel has
/// not the device, or the container's part could not be made. A single peer's fault is none of the
/// network's.
pub fn status(way: Way, call: &StatusCall) -> Result<(), Error> {
    let config = Config::parse(way, &call.conf)?;
    let ground = node::network(&config).trial().map_err(unavailable)?;
    let conf = on_node(&call.conf, &config, &ground)?;
    config.join.status(&StatusCall { conf, ..call.clone() })
}

fn unavailable(reason: Error) -> Error {
    Error { code: Code::NOT_AVAILABLE, ..reason }
}
