//! This node's own network, asked of the kernel.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni::{Code, Error};
use kernel::route::{self, Kind, Lookup};
use kernel::{Socket, link};

use crate::facts::{Facts, Families, Reach, Underlay};
use crate::{Backend, Fleet, Options};

impl Facts {
    /// Asks. Code 7 when a node address is on no interface or there is no such interface as
    /// `iface`, 11 when the underlay's interface is down.
    pub fn gather(socket: &Socket, fleet: &Fleet, options: &Options) -> Result<Self, Error> {
        let mut underlays = Families::default();
        for ipv6 in [false, true] {
            // An address of a family that no pod has is nobody's concern.
            let serves = fleet.local.pods(ipv6).next().is_some();
            if let Some(local) = fleet.local.ip(ipv6).filter(|_| serves) {
                let found = Some(underlay(socket, local, options)?);
                *(if ipv6 { &mut underlays.v6 } else { &mut underlays.v4 }) = found;
            }
        }
        let reach = if cares(&options.backend) {
            reach(socket, fleet, &underlays)?
        } else {
            BTreeMap::new()
        };
        Ok(Self { underlays, reach })
    }
}

/// True when it matters whether a peer is adjacent.
fn cares(backend: &Backend) -> bool {
    match backend {
        Backend::HostGw => true,
        Backend::Vxlan(options) => options.direct_routing,
        Backend::Ipip(options) => options.direct_routing,
    }
}

fn underlay(socket: &Socket, local: IpAddr, options: &Options) -> Result<Underlay, Error> {
    let nowhere = || {
        Error::config("local.nodeIPs", local, "no interface of this node has the address")
            .details("the peer file is another node's, or the node's address has changed")
    };
    let found = route::look_up(socket, &[local]).pop().transpose()?.flatten();
    let holder = found.filter(|found| found.kind == Kind::Local).ok_or_else(nowhere)?;
    let link = match &options.iface {
        Some(iface) => link::get(socket, iface.as_str())?.ok_or_else(|| {
            Error::config("iface", iface, "there is no such interface")
                .details("leave iface out to take the one that holds the node's address")
        })?,
        None => match holder.link {
            Some(index) => link::get_by_index(socket, index)?.ok_or_else(nowhere)?,
            None => return Err(nowhere()),
        },
    };
    if options.backend.device(local.is_ipv6()).is_some_and(|d| d.as_str() == link.name) {
        return Err(Error::config("iface", &link.name, "is the tunnel device itself")
            .details("name the interface that the tunnel's packets leave through"));
    }
    if link.name == "lo" {
        return Err(Error::config(
            "local.nodeIPs",
            local,
            "the address is on lo, which leads to no other node",
        )
        .details("name the underlay's interface with iface"));
    }
    if !link.up {
        return Err(Error::new(
            Code::TRY_AGAIN,
            format!("{}: the underlay's interface, which holds {local}, is down", link.name),
        ));
    }
    Ok(Underlay { index: link.index, name: link.name, mtu: link.mtu, local })
}

fn reach(
    socket: &Socket,
    fleet: &Fleet,
    underlays: &Families<Option<Underlay>>,
) -> Result<BTreeMap<IpAddr, Reach>, Error> {
    let addresses: Vec<IpAddr> = fleet.peers.iter().flat_map(|p| p.node_ips.clone()).collect();
    let found = route::look_up(socket, &addresses);
    let mut reach = BTreeMap::new();
    for (address, found) in std::iter::zip(addresses, found) {
        let underlay = underlays.get(address.is_ipv6()).as_ref();
        reach.insert(address, judge(socket, found?, underlay)?);
    }
    Ok(reach)
}

fn judge(
    socket: &Socket,
    found: Option<Lookup>,
    underlay: Option<&Underlay>,
) -> Result<Reach, Error> {
    let Some(found) = found else { return Ok(Reach::Unreachable) };
    Ok(match (found.kind, found.gw, found.link) {
        (Kind::Local, _, _) => Reach::Own,
        (Kind::Unicast, Some(gateway), _) => Reach::Behind(gateway),
        (Kind::Unicast, None, Some(index)) if underlay.is_some_and(|u| u.index == index) => {
            Reach::Direct
        }
        (Kind::Unicast, None, Some(index)) => {
            let link = link::get_by_index(socket, index)?;
            Reach::Elsewhere(link.map_or_else(|| format!("link {index}"), |link| link.name))
        }
        _ => Reach::Unreachable,
    })
}
