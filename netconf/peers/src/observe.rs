//! What the kernel has, as far as it may be ours.

use std::collections::BTreeSet;

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::link::{self, Link};
use kernel::route::{self, Installed};
use kernel::{Socket, address, fdb, neighbour};

use crate::Options;
use crate::difference::{Have, Tunnel};
use crate::facts::{Facts, Families};
use crate::plan::{Device, Kind};

/// Asks, by a few dumps that the kernel filters. `tunnels` are the plan's devices as they are,
/// one without an index is still to come and holds nothing. `domain` is what bounds our routes.
pub fn observe(
    socket: &Socket,
    facts: &Facts,
    tunnels: &[(&Device, Link)],
    options: &Options,
    domain: &[IpNetwork],
) -> Result<Have, Error> {
    let mut have = Have::default();
    for ipv6 in [false, true] {
        if let Some(underlay) = facts.underlays.get(ipv6) {
            let found = link::get_by_index(socket, underlay.index)?;
            *side(&mut have.underlays, ipv6) = found;
        }
        // The kernel may not even know a family that nobody speaks of.
        if domain.iter().all(|net| net.is_ipv6() != ipv6) {
            continue;
        }
        let mut routes: BTreeSet<Known> = BTreeSet::new();
        let mut all = route::of_protocol(socket, ipv6, options.protocol)?;
        for (device, link) in tunnels {
            if !matches!(device.kind, Kind::Fallback) && link.index != 0 {
                all.extend(route::through(socket, ipv6, link.index)?);
            }
        }
        for installed in all {
            if routes.insert(Known::of(&installed)) {
                have.routes.push(installed);
            }
        }
    }
    for (device, link) in tunnels {
        let ipv6 = device.ipv6;
        if link.index == 0 {
            *side(&mut have.tunnels, ipv6) = Some(Tunnel::to_come(link.clone()));
            continue;
        }
        let is_vxlan = matches!(device.kind, Kind::Vxlan(..));
        *side(&mut have.tunnels, ipv6) = Some(Tunnel {
            link: link.clone(),
            addresses: address::list(socket, link.index, ipv6)?,
            neighbours: if is_vxlan {
                neighbour::list(socket, link.index, ipv6)?
            } else {
                Vec::new()
            },
            fdb: if is_vxlan { fdb::list(socket, link.index)? } else { Vec::new() },
        });
    }
    Ok(have)
}

/// What tells a route from any other in one table.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Known(IpNetwork, Option<u32>, Option<u32>, u8, Option<std::net::IpAddr>);

impl Known {
    fn of(Installed { link, route }: &Installed) -> Self {
        Self(route.dst, route.priority, *link, route.protocol, route.gw)
    }
}

fn side<T>(families: &mut Families<T>, ipv6: bool) -> &mut T {
    if ipv6 { &mut families.v6 } else { &mut families.v4 }
}
