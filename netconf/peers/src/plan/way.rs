//! Which way a peer is reached.

use std::net::IpAddr;

use super::Through;
use crate::{Backend, Reach, Underlay};

/// Through the underlay or the tunnel; or why the peer cannot be served.
pub fn to(
    ip: IpAddr,
    reach: Option<&Reach>,
    underlay: &Underlay,
    backend: &Backend,
) -> Result<Through, String> {
    const ADJACENT: &str =
        "host-gw reaches adjacent nodes only; use vxlan or ipip, or directRouting";
    match (backend, reach) {
        (_, Some(Reach::Own)) => Err(format!(
            "nodeIPs {ip} is this node's own address: give the peer's, or local.name this peer's name"
        )),
        (Backend::HostGw, Some(Reach::Direct)) => Ok(Through::Underlay),
        (Backend::HostGw, Some(Reach::Behind(gw))) => {
            Err(format!("nodeIPs {ip} is behind the router {gw}: {ADJACENT}"))
        }
        (Backend::HostGw, Some(Reach::Elsewhere(name))) => {
            let underlay = &underlay.name;
            Err(format!(
                "nodeIPs {ip} is reached through {name}, not through {underlay}: {ADJACENT}"
            ))
        }
        (Backend::HostGw, Some(Reach::Unreachable) | None) => {
            Err(format!("nodeIPs {ip}: this node has no route there; {ADJACENT}"))
        }
        (_, Some(Reach::Direct)) if backend.direct_routing() => Ok(Through::Underlay),
        // Routes to the other end may come and go while the tunnel stands.
        _ => Ok(Through::Tunnel),
    }
}
