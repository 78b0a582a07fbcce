//! Waiting for the kernel to get somewhere, woken by its notifications.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Error, Result, fault};

/// What to be woken by (the RTMGRP bits of include/uapi/linux/rtnetlink.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Group {
    /// Links that come, change and go.
    Link = 0x1,
    /// IPv6 addresses that come, change and go.
    Ipv6Address = 0x100,
}

/// A subscription to notifications of the namespace it was opened in.
#[derive(Debug)]
pub struct Events(netlink_sys::Socket);

impl Events {
    /// Subscribes, in the calling thread's namespace (`ip monitor`).
    pub fn open(group: Group) -> Result<Self> {
        let fail = |e| Error::new("listen for", format_args!("{group:?} events"), e);
        fault::point("listen for events").map_err(fail)?;
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE).map_err(fail)?;
        socket.bind(&SocketAddr::new(0, group as u32)).map_err(fail)?;
        socket.set_non_blocking(true).map_err(fail)?;
        Ok(Self(socket))
    }

    /// Calls `look` now and after every notification until it gives a value. ETIMEDOUT after
    /// `patience`. Subscribe before, so that no change can slip through. A notification only says
    /// that something changed, and some may be lost; `look` is what counts.
    pub fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let fail = |e: io::Error| Error::new("wait for", what, e);
        let end = Instant::now() + patience;
        let mut thrown_away = Vec::with_capacity(64 * 1024);
        loop {
            if let Some(value) = look()? {
                return Ok(value);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(fail(io::Error::from_raw_os_error(libc::ETIMEDOUT)));
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(e) => return Err(fail(e.into())),
            }
            while self.0.recv(&mut thrown_away, 0).is_ok() {
                thrown_away.clear();
            }
        }
    }
}
