//! The node's end of a link as a router's interface.

use std::net::IpAddr;

use cni::{AddResult, Code, Error};
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

/// Refuses routes that no router could take: a gateway of another family than the destination's.
pub fn check_routes(result: &AddResult) -> Result<(), Error> {
    let mixed = |gw: &IpAddr, route: &cni::Route| gw.is_ipv6() != route.dst.is_ipv6();
    for (index, route) in result.routes.iter().enumerate() {
        if let Some(gw) = route.gw.filter(|gw| mixed(gw, route)) {
            return Err(Error::new(
                Code::CONFIG,
                format!("routes[{index}] {} gw {gw}: the gateway is of another family", route.dst),
            )
            .details("give the route a gateway of its destination's family, or none"));
        }
    }
    Ok(())
}
