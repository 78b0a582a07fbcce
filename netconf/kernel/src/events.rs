//! The kernel's notifications: to be woken by them while something is awaited, or to follow them.

mod notification;
mod ruleset;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_sys::SocketAddr;
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};

use crate::{Error, Result, fault};

pub use notification::{Heard, Notification};
pub use ruleset::{Part, Ruleset};

/// Larger than any datagram of notifications: each holds one object.
const BUFFER: usize = 64 * 1024;
/// The bit of `NFNLGRP_NFTABLES` (include/uapi/linux/netfilter/nfnetlink.h).
const NF_TABLES: u32 = 1 << 6;
/// What may wait to be read of the ruleset's notifications, in bytes: whole rulesets are replaced at once by
/// others, with a notification for each rule.
const RULESETS: usize = 4 << 20;

/// What to be woken by (the RTMGRP bits of include/uapi/linux/rtnetlink.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Group {
    /// Links that come, change and go.
    Link = 0x1,
    /// Neighbour and FDB entries that come, change and go.
    Neighbour = 0x4,
    /// IPv4 addresses that come, change and go.
    Ipv4Address = 0x10,
    /// IPv4 routes that come, change and go. Those that go with a link that goes down are told by that
    /// link's notification alone (net/ipv4/fib_frontend.c, `fib_disable_ip`).
    Ipv4Route = 0x40,
    /// IPv6 addresses that come, change and go.
    Ipv6Address = 0x100,
    /// IPv6 routes that come, change and go.
    Ipv6Route = 0x400,
    /// Those sysctls of IPv4 that the kernel tells of change, forwarding and `rp_filter` among them
    /// (`ip -4 monitor netconf`).
    Ipv4Configuration = 1 << 23,
    /// Those of IPv6, forwarding among them.
    Ipv6Configuration = 1 << 24,
}

/// A subscription to notifications of the namespace it was opened in.
#[derive(Debug)]
pub struct Events {
    socket: netlink_sys::Socket,
    read: fn(&[u8], &mut dyn FnMut(Notification)),
}

impl Events {
    /// Subscribes, in the calling thread's namespace (`ip monitor`).
    pub fn open(group: Group) -> Result<Self> {
        Self::open_all(&[group])
    }

    /// Subscribes to several groups at once, in the calling thread's namespace.
    pub fn open_all(groups: &[Group]) -> Result<Self> {
        let fail = |e| Error::new("listen for", format_args!("{groups:?} events"), e);
        fault::point("listen for events").map_err(fail)?;
        let all = groups.iter().fold(0, |all, group| all | *group as u32);
        let socket = subscribed(NETLINK_ROUTE, all).map_err(fail)?;
        Ok(Self { socket, read: Notification::read_all })
    }

    /// Subscribes to changes of the ruleset of nf_tables, in the calling thread's namespace
    /// (`nft monitor`).
    pub fn open_ruleset() -> Result<Self> {
        let fail = |e| Error::new("listen for", "changes of the ruleset", e);
        fault::point("listen for changes of the ruleset").map_err(fail)?;
        let socket = subscribed(NETLINK_NETFILTER, NF_TABLES).map_err(fail)?;
        Self { socket, read: Ruleset::read_all }.with_room(RULESETS)
    }

    /// Has room for so many bytes of notifications that nobody has read yet, as far as the kernel grants it:
    /// without the right to more, as much as everybody may have.
    pub fn with_room(self, bytes: usize) -> Result<Self> {
        let fail = |e: nix::Error| Error::new("listen for", "events", e.into());
        let enlarged = setsockopt(&self.socket.as_fd(), RcvBufForce, &bytes)
            .or_else(|_| setsockopt(&self.socket.as_fd(), RcvBuf, &bytes));
        enlarged.map(|()| self).map_err(fail)
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
        let mut thrown_away = Vec::with_capacity(BUFFER);
        loop {
            if let Some(value) = look()? {
                return Ok(value);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(fail(io::Error::from_raw_os_error(libc::ETIMEDOUT)));
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            self.poll(timeout).map_err(fail)?;
            while self.socket.recv(&mut thrown_away, 0).is_ok() {
                thrown_away.clear();
            }
        }
    }

    /// Waits for notifications and hands each of them to `told`, then returns. Those that were lost
    /// (ENOBUFS: the receive buffer was full) are one [`Notification::Lost`]: all may have changed.
    pub fn next(&self, mut told: impl FnMut(Notification)) -> Result<()> {
        let fail = |e: io::Error| Error::new("listen for", "events", e);
        self.poll(PollTimeout::NONE).map_err(fail)?;
        let mut datagram = Vec::with_capacity(BUFFER);
        loop {
            datagram.clear();
            match self.socket.recv(&mut datagram, 0) {
                Ok(_) => (self.read)(&datagram, &mut told),
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => told(Notification::Lost),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(fail(e)),
            }
        }
    }

    fn poll(&self, timeout: PollTimeout) -> io::Result<()> {
        match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// Readable when something was told.
impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn subscribed(protocol: isize, groups: u32) -> io::Result<netlink_sys::Socket> {
    let mut socket = netlink_sys::Socket::new(protocol)?;
    socket.bind(&SocketAddr::new(0, groups))?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}
