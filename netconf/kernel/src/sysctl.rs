//! Sysctls of the network, in the calling thread's namespace (`sysctl -w net...`).

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use crate::{Error, Result, fault};

/// Reads `/proc/sys/net/<key>`, trimmed. `key` is slashed: `ipv4/conf/eth0/arp_notify`.
pub fn read(key: &str) -> Result<String> {
    match fs::read_to_string(path(key)) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(e) => Err(Error::new("read the sysctl", format_args!("net/{key}"), e)),
    }
}

/// Writes `/proc/sys/net/<key>`.
pub fn write(key: &str, value: &str) -> Result<()> {
    fault::point("write a sysctl")
        // Without O_CREAT, for which the kernel would lock the directory first.
        .and_then(|()| fs::OpenOptions::new().write(true).open(path(key)))
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|e| {
            Error::new("write the sysctl", format_args!("net/{key}={}", value.trim_end()), e)
        })
}

/// ENOENT unless there is one. It need not be readable.
pub fn exists(key: &str) -> Result<()> {
    match fs::metadata(path(key)) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::new("find the sysctl", format_args!("net/{key}"), e)),
    }
}

/// Writes it only when it has another value; a write to a forwarding switch makes the kernel walk
/// all of its interfaces.
pub fn ensure(key: &str, value: &str) -> Result<()> {
    if read(key)? == value { Ok(()) } else { write(key, value) }
}

fn path(key: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(key)
}
