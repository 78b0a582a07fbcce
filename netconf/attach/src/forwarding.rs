//! Making a node a router.

use kernel::{Result, sysctl};

/// Turns on forwarding of a family in the calling thread's namespace, where it is off.
///
/// `sysctl -w net.ipv4.ip_forward=1`, `sysctl -w net.ipv6.conf.all.forwarding=1`
pub fn enable(ipv6: bool) -> Result<()> {
    sysctl::ensure(key(ipv6), "1")
}

/// True when forwarding of a family is on.
pub fn is_enabled(ipv6: bool) -> Result<bool> {
    Ok(sysctl::read(key(ipv6))? == "1")
}

/// The switch of a family.
pub fn key(ipv6: bool) -> &'static str {
    if ipv6 { "ipv6/conf/all/forwarding" } else { "ipv4/ip_forward" }
}
