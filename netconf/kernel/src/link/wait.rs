//! Waiting for a link to carry packets.

use std::io;
use std::time::Duration;

use super::{Link, get};
use crate::events::{Events, Group};
use crate::{Error, Result, Socket};

/// Waits until the link can carry packets and gives its last state. A veth whose ends are both up
/// gets there within microseconds, as soon as the kernel's link watch has run; a bridge forwards
/// for it from then on. `socket` must be of the calling thread's namespace. ETIMEDOUT after
/// `patience`, ENODEV when the link is gone.
pub fn wait_until_up(socket: &Socket, name: &str, patience: Duration) -> Result<Link> {
    let look = || match get(socket, name)? {
        Some(link) => Ok(link.running.then_some(link)),
        None => Err(Error::new("wait for", name, io::Error::from_raw_os_error(libc::ENODEV))),
    };
    if let Some(link) = look()? {
        return Ok(link);
    }
    Events::open(Group::Link)?.wait(&format!("{name} to come up"), patience, look)
}
