//! Waiting for duplicate address detection, where it was asked for.

use std::time::Duration;

use cni::{Code, Error};
use kernel::events::Events;
use kernel::{Socket, address};

/// Detection takes a second and a random delay of up to another one; a busy node adds to that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until no IPv6 address of the link is tentative, woken by the kernel. `events` must have
/// been opened in the link's namespace. Code 101 when an address is somebody else's.
pub fn wait(events: &Events, socket: &Socket, link: u32, name: &str) -> Result<(), Error> {
    let what = format!("duplicate address detection on {name}");
    let addresses = events.wait(&what, PATIENCE, || {
        let addresses = address::list(socket, link, true)?;
        let settled = addresses.iter().all(|a| !a.tentative || a.dad_failed);
        Ok(settled.then_some(addresses))
    })?;
    match addresses.iter().find(|a| a.dad_failed && a.global) {
        Some(taken) => Err(Error::new(
            Code::CONFLICT,
            format!("address {} is in use by another host on the link of {name}", taken.address),
        )),
        None => Ok(()),
    }
}
