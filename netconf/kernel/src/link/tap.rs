//! TAP devices: the other end of the link is a process, a virtual machine monitor for one.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use crate::{Error, Result, attributes, fault};

/// Where they are made (Documentation/networking/tuntap.rst of the kernel).
const CLONE: &str = "/dev/net/tun";

/// A persistent TAP device to be made.
#[derive(Clone, Copy, Debug)]
pub struct Tap<'a> {
    /// Its name.
    pub name: &'a str,
    /// Processes may open several queues of it, and must open it so (`IFF_MULTI_QUEUE`).
    pub multi_queue: bool,
    /// The user who may open it beside those with `CAP_NET_ADMIN`.
    pub owner: Option<u32>,
    /// The group that may.
    pub group: Option<u32>,
}

/// What a TUN or TAP device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tun {
    /// It carries Ethernet frames (`mode tap`).
    pub tap: bool,
    /// It has several queues.
    pub multi_queue: bool,
    /// It stays when nobody has it open.
    pub persistent: bool,
    /// The user who may open it.
    pub owner: Option<u32>,
    /// The group that may.
    pub group: Option<u32>,
}

/// Creates a device in the calling thread's namespace, down. EBUSY when the name is taken; ENOENT,
/// ENODEV or ENXIO when the kernel has no TUN. Until the last step the device belongs to the open
/// file, and goes with a process that dies before.
///
/// `ip tuntap add NAME mode tap vnet_hdr [multi_queue] [user UID] [group GID]`
pub fn create(tap: &Tap<'_>) -> Result<()> {
    let fail = |e: io::Error| Error::new("create the TAP device", tap.name, e);
    let through = |e: io::Error| {
        Error::new("create the TAP device", format_args!("{} through {CLONE}", tap.name), e)
    };
    fault::point("create the TAP device").map_err(fail)?;
    let file = File::options().read(true).write(true).open(CLONE).map_err(through)?;
    // Not a device that exists, even where it could be opened.
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
    if tap.multi_queue {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    attach(&file, tap.name, flags).map_err(fail)?;
    for (request, id) in [(libc::TUNSETOWNER, tap.owner), (libc::TUNSETGROUP, tap.group)] {
        if let Some(id) = id {
            set(&file, request, id).map_err(fail)?;
        }
    }
    set(&file, libc::TUNSETPERSIST, 1).map_err(fail)
}

/// Makes the file a queue of a new device.
#[expect(unsafe_code, reason = "nix has no wrapper of this ioctl")]
fn attach(file: &File, name: &str, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a structure of C that is all zeroes is a valid one.
    let mut wanted: libc::ifreq = unsafe { std::mem::zeroed() };
    // A name has 15 bytes at most; the last byte stays a NUL whatever is asked.
    let room = wanted.ifr_name.len().saturating_sub(1);
    for (to, from) in wanted.ifr_name.iter_mut().take(room).zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let [low, high, ..] = flags.to_le_bytes();
    wanted.ifr_ifru.ifru_flags = libc::c_short::from_le_bytes([low, high]);
    // SAFETY: the descriptor is open, and the pointer leads to a value that lives through the call.
    done(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut wanted) })
}

/// One of the requests that take a number.
#[expect(unsafe_code, reason = "nix has no wrapper of these ioctls")]
fn set(file: &File, request: libc::Ioctl, number: u32) -> io::Result<()> {
    fault::point("set an option of the TAP device")?;
    // SAFETY: the descriptor is open, and these requests take a number and touch no memory.
    done(unsafe { libc::ioctl(file.as_raw_fd(), request, libc::c_ulong::from(number)) })
}

fn done(outcome: libc::c_int) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `IFLA_TUN_*` of include/uapi/linux/if_link.h.
mod attribute {
    pub const OWNER: u16 = 1;
    pub const GROUP: u16 = 2;
    pub const MODE: u16 = 3;
    pub const PERSISTENT: u16 = 6;
    pub const MULTI_QUEUE: u16 = 7;
}

impl Tun {
    /// Reads a device's `IFLA_INFO_DATA`.
    pub(super) fn parse<'a>(data: impl Iterator<Item = (u16, &'a [u8])>) -> Self {
        let tap = u8::try_from(libc::IFF_TAP).unwrap_or_default();
        let mut device = Self::default();
        for (kind, value) in data {
            match kind {
                attribute::OWNER => device.owner = attributes::number(value),
                attribute::GROUP => device.group = attributes::number(value),
                attribute::MODE => device.tap = value.first() == Some(&tap),
                attribute::PERSISTENT => device.persistent = attributes::switch(value),
                attribute::MULTI_QUEUE => device.multi_queue = attributes::switch(value),
                _ => {}
            }
        }
        device
    }
}
