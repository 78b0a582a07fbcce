//! Waiting for a link to carry packets.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Link, get};
use crate::{Error, Result, Socket, fault};

/// `RTMGRP_LINK` (include/uapi/linux/rtnetlink.h).
const LINK_EVENTS: u32 = 1;

/// Waits until the link can carry packets, woken by the kernel's own notifications, and gives its
/// last state. A veth whose ends are both up gets there within microseconds, as soon as the
/// kernel's link watch has run; a bridge forwards for it from then on. ETIMEDOUT after `patience`.
pub fn wait_until_up(socket: &Socket, name: &str, patience: Duration) -> Result<Link> {
    let fail = |e: io::Error| Error::new("wait for the link", format_args!("{name} to come up"), e);
    let gone = || fail(io::Error::from_raw_os_error(libc::ENODEV));
    let look = || get(socket, name)?.ok_or_else(gone);

    let link = look()?;
    if link.running {
        return Ok(link);
    }
    // Listen first and look again, so that the event cannot slip through between.
    fault::point("listen for link events").map_err(fail)?;
    let mut events = netlink_sys::Socket::new(NETLINK_ROUTE).map_err(fail)?;
    events.bind(&SocketAddr::new(0, LINK_EVENTS)).map_err(fail)?;
    events.set_non_blocking(true).map_err(fail)?;
    let end = Instant::now() + patience;
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        let link = look()?;
        if link.running {
            return Ok(link);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(fail(io::Error::from_raw_os_error(libc::ETIMEDOUT)));
        }
        // An event only says that something changed, and some may be lost: the look above is what
        // counts, so whatever has come is thrown away.
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], timeout)
            .map_err(|e| fail(e.into()))?;
        while events.recv(&mut buffer, 0).is_ok() {
            buffer.clear();
        }
    }
}
