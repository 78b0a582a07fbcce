//! The node's end of a link as a router's interface.

use kernel::sysctl;

/// Prepares a link of the node that was just made and has no carrier yet. The node takes no routes
/// from what containers advertise, and its own link-local address is usable as soon as there is a
/// carrier: the kernel asks for a container's neighbour entry from it, and would drop what it
/// forwards as long as it is tentative (net/ipv6/ndisc.c, `ndisc_send_ns`). Best effort: there are
/// no such switches where the kernel has no IPv6.
pub fn prepare(link: &str) {
    for (key, value) in [("accept_ra", "0"), ("accept_dad", "0")] {
        let _ = sysctl::write(&format!("ipv6/conf/{link}/{key}"), value);
    }
}
