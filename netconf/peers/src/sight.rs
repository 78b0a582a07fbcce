//! What an ADD looks at to know that nothing has changed since all was compared.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::Error;
use ipnetwork::IpNetwork;
use kernel::link::Link;
use kernel::route::Lookup;
use kernel::{Look, Seen, Socket, glance};

use crate::plan::{Device, Plan, Through};
use crate::record::Sight;
use crate::{Facts, Options};

/// What the next ADD has to see again to know that nothing has changed: every link in use, that the
/// node's addresses are where they were, and one route through each link and of each family, which
/// a link that was down in between does not have any more.
pub fn sights(
    socket: &Socket,
    plan: &Plan,
    facts: &Facts,
    tunnels: &[(&Device, Link)],
    options: &Options,
) -> Result<Option<Vec<Sight>>, Error> {
    let mut looks = Vec::new();
    let mut own = BTreeSet::new();
    for ipv6 in [false, true] {
        if let Some(underlay) = facts.underlays.get(ipv6) {
            looks.push(Look::Link(underlay.index));
            looks.push(Look::Route(underlay.local));
            own.insert(underlay.local);
        }
        for through in [Through::Underlay, Through::Tunnel] {
            let mut routes = plan.routes.iter();
            let sentinel = routes.find(|r| r.through == through && r.dst.is_ipv6() == ipv6);
            looks.extend(sentinel.map(|route| Look::Route(first_pod(route.dst))));
        }
    }
    looks.extend(tunnels.iter().map(|(_, link)| Look::Link(link.index)));
    looks.dedup();
    let seen: Vec<Seen> = glance(socket, &looks).into_iter().collect::<kernel::Result<_>>()?;
    // What somebody else removed meanwhile, or overrules, proves nothing.
    let proves = |look: &Look, seen: &Seen| match (look, seen) {
        (Look::Route(address), Seen::Route(Some(route))) => {
            own.contains(address) || route.protocol == options.protocol
        }
        (_, seen) => !matches!(seen, Seen::Link(None) | Seen::Route(None)),
    };
    let pairs = || std::iter::zip(&looks, &seen);
    Ok(pairs()
        .all(|(look, seen)| proves(look, seen))
        .then(|| pairs().map(|(look, seen)| Sight::of(look, seen)).collect()))
}

/// An address that a pod could have.
pub fn first_pod(network: IpNetwork) -> IpAddr {
    match network {
        IpNetwork::V4(net) if net.prefix() < 32 => {
            Ipv4Addr::from_bits(net.network().to_bits().saturating_add(1)).into()
        }
        IpNetwork::V6(net) if net.prefix() < 128 => {
            Ipv6Addr::from_bits(net.network().to_bits().saturating_add(1)).into()
        }
        alone => alone.ip(),
    }
}

impl Sight {
    fn of(look: &Look, seen: &Seen) -> Self {
        let (link, route) = match look {
            Look::Link(index) => (Some(*index), None),
            Look::Route(address) => (None, Some(*address)),
        };
        Self { link, route, seen: describe(seen) }
    }

    /// The look that it came from.
    pub fn look(&self) -> Option<Look> {
        match (self.link, self.route) {
            (Some(index), None) => Some(Look::Link(index)),
            (None, Some(address)) => Some(Look::Route(address)),
            _ => None,
        }
    }
}

/// What was seen, in words that change when anything does that matters here.
pub fn describe(seen: &Seen) -> String {
    match seen {
        Seen::Link(Some(link)) => {
            let Link { name, alias, mac, mtu, up, vxlan, ipip, no_address_generation, .. } =
                &**link;
            let quiet = no_address_generation;
            format!("{name} {alias:?} {mac:?} {mtu} {up} {quiet} {vxlan:?} {ipip:?}")
        }
        Seen::Route(Some(Lookup { kind, link, gw, dst, protocol })) => {
            format!("{kind:?} {link:?} {gw:?} {dst} {protocol}")
        }
        Seen::Link(None) | Seen::Route(None) => "nothing".to_owned(),
    }
}
