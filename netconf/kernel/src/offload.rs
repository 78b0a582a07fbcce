//! Checksum offload of a link, and the kernels that get it wrong.

use std::io;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::utsname::uname;

use crate::{Error, Result, fault};

/// `ETHTOOL_GTXCSUM` and `ETHTOOL_STXCSUM` (include/uapi/linux/ethtool.h).
const GET: u32 = 0x16;
const SET: u32 = 0x17;

/// True when the kernel computes the checksums of what it sends later than it encapsulates it.
/// (`ETHTOOL_GTXCSUM`, on a link of the calling thread's namespace)
///
/// `ethtool -k LINK | grep tx-checksumming`
pub fn transmit_checksum(link: &str) -> Result<bool> {
    const OP: &str = "read the checksum offload of";
    ethtool(OP, link, GET, 0).map(|value| value != 0).map_err(|e| Error::new(OP, link, e))
}

/// Turns it on or off (`ETHTOOL_STXCSUM`).
///
/// `ethtool -K LINK tx on|off`
pub fn set_transmit_checksum(link: &str, on: bool) -> Result<()> {
    const OP: &str = "set the checksum offload of";
    ethtool(OP, link, SET, on.into()).map(drop).map_err(|e| Error::new(OP, link, e))
}

/// True for kernels that garble checksums of what they encapsulate after address translation when
/// that is offloaded: 5.7 and older.
pub fn is_broken_here() -> bool {
    uname().is_ok_and(|name| name.release().to_str().is_some_and(is_broken))
}

/// Judges a release (`uname -r`). One that cannot be read is taken for a new one.
fn is_broken(release: &str) -> bool {
    const LAST: (u32, u32) = (5, 7);
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) <= LAST,
        _ => false,
    }
}

/// `struct ethtool_value`
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

#[expect(unsafe_code, reason = "nix has no wrapper of this ioctl")]
fn ethtool(op: &str, link: &str, command: u32, data: u32) -> io::Result<u32> {
    fault::point(op)?;
    let mut name: [libc::c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    // The last one stays the NUL that ends the name.
    if link.len() >= name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in std::iter::zip(&mut name, link.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut value = Value { command, data };
    let mut request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: (&raw mut value).cast() },
    };
    // SAFETY: the request is a whole `struct ifreq` with a name that ends in NUL, its data points to
    // a `struct ethtool_value`, which is what these two commands read and write, and both outlive the
    // call; the descriptor is open.
    let outcome = unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(value.data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_broken_up_to_5_7_whatever_follows_the_numbers() {
        for broken in ["5.7.0-rc1", "5.7", "5.6.19", "4.19", "4.19.0-27-amd64", "3.10.0-1160.el7"] {
            assert!(is_broken(broken), "{broken}");
        }
        for sound in ["5.8.0", "5.10.0-33-amd64", "6.12.94+deb13-amd64", "6.1", "10.0.1"] {
            assert!(!is_broken(sound), "{sound}");
        }
    }

    #[test]
    fn a_release_that_cannot_be_read_is_taken_for_a_new_one() {
        for odd in ["", "5", "linux", "v4.19", "5.x", "99999999999.1", "-5.4"] {
            assert!(!is_broken(odd), "{odd}");
        }
    }
}
