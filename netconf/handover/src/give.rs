//! The move into the container, and what the interface is to be like there.

use std::net::IpAddr;

use attach::ends::Ends;
use cni::{Code, Error};
use ipnetwork::IpNetwork;
use kernel::address::{self, Address};
use kernel::link::{self, Link};
use kernel::route::{self, Described, Route};

use crate::Wanted;
use crate::desk::Desk;
use crate::record::{Carried, Original, Prefix, Record};
use crate::{vf, virtual_function};

/// The protocol number of routes that routers advertise (`RTPROT_RA`), which come again by themselves.
const ADVERTISED: u8 = 9;

/// What goes along with an interface: its global addresses and the routes that were set upon it. What the
/// record has no place for would come out as something else, and is left out with a warning; so are routes
/// that stand on a left-out address.
pub fn carried(desk: &Desk, link: &Link, original: &mut Original) -> Result<(), Error> {
    for ipv6 in [false, true] {
        let mut left: Vec<Address> = Vec::new();
        let mut kept: Vec<IpNetwork> = Vec::new();
        for address in address::list(&desk.host, link.index, ipv6)? {
            match why_not(&address) {
                // The kernel makes it anew, or it is another host's.
                _ if address.dad_failed || is_link_local(&address) => {}
                None => kept.push(address.address),
                Some(why) => {
                    warn_of(&link.name, &format!("the address {}", address.address), why);
                    left.push(address);
                }
            }
        }
        let described = route::described(&desk.host, ipv6, link.index)?;
        let lasting = described.into_iter().filter(|r| r.route.protocol != ADVERTISED);
        let (plain, beyond): (Vec<_>, Vec<_>) = lasting.partition(|r| r.beyond.is_empty());
        for Described { route, beyond } in beyond {
            warn_of(&link.name, &format!("the route {route}"), &beyond.join(", "));
        }
        let (on_link, behind): (Vec<Route>, Vec<Route>) =
            plain.into_iter().map(|described| described.route).partition(|r| r.gw.is_none());
        let mut reached = kept.clone();
        reached.extend(on_link.iter().map(|route| route.dst));
        for route in on_link.into_iter().chain(behind) {
            if let Some(lost) = left.iter().find(|lost| needs(&route, lost, &reached)) {
                let why = format!("it needs the address {}", lost.address);
                warn_of(&link.name, &format!("the route {route}"), &why);
            } else {
                original.routes.push(Carried::from(route));
            }
        }
        original.addresses.extend(kept.into_iter().map(Prefix));
    }
    Ok(())
}

fn warn_of(link: &str, what: &str, why: &str) {
    cni::warn(format_args!(
        "useInterfaceNetwork: {what} of {link} does not go along, and will not come back: {why}"
    ));
}

/// What makes an address more than a record can say, as `ip` calls it.
fn why_not(address: &Address) -> Option<&'static str> {
    // One with `noprefixroute` is NetworkManager's, which makes the very route that the kernel would have:
    // where nobody makes it, the kernel shall.
    match (address.peer, address.global) {
        (Some(_), _) => Some("peer"),
        (None, false) => Some("its scope is not global"),
        (None, true) => None,
    }
}

fn is_link_local(address: &Address) -> bool {
    matches!(address.address, IpNetwork::V6(net) if net.ip().is_unicast_link_local())
}

/// True for a route that the kernel refuses without this address: it is the source, or the gateway is
/// reached by it alone.
fn needs(route: &Route, lost: &Address, reached: &[IpNetwork]) -> bool {
    let by_source = route.src == Some(lost.address.ip());
    let by_gateway = |gw: IpAddr| {
        // The prefix of an address with a peer is the peer's.
        let network =
            lost.peer.map_or(Ok(lost.address), |peer| IpNetwork::new(peer, lost.address.prefix()));
        let here = network.is_ok_and(|network| network.contains(gw));
        here && reached.iter().all(|network| !network.contains(gw))
    };
    by_source || (!route.onlink && route.gw.is_some_and(by_gateway))
}

/// Asks a VF's physical function, with its lock held.
pub fn with_pf<T>(
    desk: &Desk,
    pf: devices::PciAddress,
    number: u32,
    ask: impl FnOnce(&vf::Handle<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let _lock = desk.journal.lock_pf(pf, &desk.who)?;
    let found = desk.roots.physical_function(pf)?;
    let Some(uplink) = found.uplink else {
        return Err(Error::new(
            Code::CONFIG,
            format!("{pf}: the physical function has no network interface on the node"),
        )
        .details("VFs are set up through it: bind its network driver, and keep it on the node"));
    };
    ask(&vf::Handle { socket: &desk.host, pf: &uplink.name, pf_index: uplink.index, vf: number })
}

/// Moves the interface into the container under its name there, down.
pub fn relocate(desk: &Desk, ends: &Ends<'_>, link: &Link) -> Result<Link, Error> {
    let ifname = ends.ifname();
    // They move along, and the container may have them already; the record gives them back.
    for other in &link.alternative_names {
        if other == ifname || link::get(&ends.inner, other)?.is_some() {
            desk.host.run(link::delete_altname(link.index, &link.name, other))?;
        }
    }
    match desk.host.run(link::relocate(link.index, &link.name, &ends.netns, ifname)) {
        Ok(()) => {}
        Err(e) if e.errno() == libc::EINVAL => {
            let kind = if link.kind.is_empty() { "network interface" } else { &link.kind };
            return Err(Error::from(e)
                .while_(format!("{}: the kernel keeps this {kind} in its namespace", link.name))
                .details("give away one of its ports, or attach the container by another plugin"));
        }
        Err(e) => return Err(e.into()),
    }
    link::get(&ends.inner, ifname)?
        .ok_or_else(|| Error::new(Code::TRY_AGAIN, format!("{ifname} vanished after it was moved")))
}

/// Sets what is wanted of the interface itself. Gives it as it is then.
pub fn shape(
    desk: &Desk,
    record: &mut Record,
    ends: &Ends<'_>,
    link: &Link,
    wanted: &Wanted,
    host_name: &str,
) -> Result<Link, Error> {
    let (index, name) = (link.index, link.name.as_str());
    let run = |request| ends.inner.run(request);
    if wanted.tell_host_name
        && host_name != name
        && !link.alternative_names.iter().any(|other| other == host_name)
    {
        // A hint for people; the container may have the name.
        let _ = run(link::add_altname(index, name, host_name));
    }
    if !virtual_function::take_mac(desk, record, &ends.inner, link)?
        && let Some(mac) = wanted.mac.filter(|mac| link.mac != Some(*mac))
    {
        run(link::set_mac(index, name, mac))?;
    }
    if let Some(mtu) = wanted.mtu.filter(|mtu| link.mtu != *mtu) {
        run(link::set_mtu(index, name, mtu))?;
    }
    if let Some(on) = wanted.all_multicast.filter(|on| link.all_multicast != *on) {
        run(link::set_all_multicast(index, name, on))?;
    }
    if let Some(on) = wanted.promiscuous.filter(|on| link.promiscuous != *on) {
        run(link::set_promiscuous(index, name, on))?;
    }
    link::get_by_index(&ends.inner, index)?
        .ok_or_else(|| Error::new(Code::TRY_AGAIN, format!("{name} vanished while it was set up")))
}
