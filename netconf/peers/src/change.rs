//! One change of the kernel's state, as a request and as the command that does the same.

use std::borrow::Cow;
use std::fmt;

use ipnetwork::IpNetwork;
use kernel::fdb::Entry;
use kernel::link::Link;
use kernel::neighbour::Neighbour;
use kernel::route::{Installed, Kind, Route};
use kernel::{Request, address, fdb, neighbour, route};

/// A change. It is shown as the `ip` or `bridge` command that does the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An address comes to a link.
    AddAddress(Link, IpNetwork),
    /// An address leaves a link.
    RemoveAddress(Link, IpNetwork),
    /// A permanent neighbour entry is made or changed.
    SetNeighbour(Link, Neighbour),
    /// One is removed.
    RemoveNeighbour(Link, Neighbour),
    /// An FDB entry is made or changed.
    SetEntry(Link, Entry),
    /// One is removed.
    RemoveEntry(Link, Entry),
    /// A route is made or changed; a blackhole has no link.
    SetRoute(Option<Link>, Route),
    /// A route is removed; the text is the link's name.
    RemoveRoute(Installed, String),
}

impl Change {
    /// The request that does it.
    pub fn request(&self) -> Request {
        match self {
            Self::AddAddress(link, address) => address::add(link, *address, OPTIONS),
            Self::RemoveAddress(link, address) => address::delete(link, *address),
            Self::SetNeighbour(link, neighbour) => neighbour::replace(link, neighbour),
            Self::RemoveNeighbour(link, neighbour) => neighbour::delete(link, neighbour.ip),
            Self::SetEntry(link, entry) => fdb::replace(link, entry),
            Self::RemoveEntry(link, entry) => fdb::delete(link, entry),
            Self::SetRoute(link, route) => route::replace(link.as_ref(), route),
            Self::RemoveRoute(installed, name) => route::delete(installed, name),
        }
    }
}

/// Nobody else on a tunnel device could have the address, so nobody is asked.
const OPTIONS: address::Options = address::Options { no_dad: true, no_prefix_route: false };

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddAddress(link, address) => {
                let no_dad = if address.is_ipv6() { " nodad" } else { "" };
                write!(f, "ip addr add {address} dev {}{no_dad}", word(&link.name))
            }
            Self::RemoveAddress(link, address) => {
                write!(f, "ip addr del {address} dev {}", word(&link.name))
            }
            Self::SetNeighbour(link, Neighbour { ip, mac }) => {
                let name = word(&link.name);
                write!(f, "ip neigh replace {ip} lladdr {mac} dev {name} nud permanent")
            }
            Self::RemoveNeighbour(link, Neighbour { ip, .. }) => {
                write!(f, "ip neigh del {ip} dev {}", word(&link.name))
            }
            Self::SetEntry(link, Entry { mac, vtep }) => {
                let name = word(&link.name);
                write!(f, "bridge fdb replace {mac} dev {name} dst {vtep} self permanent")
            }
            Self::RemoveEntry(link, Entry { mac, vtep }) => {
                write!(f, "bridge fdb del {mac} dev {} dst {vtep} self", word(&link.name))
            }
            Self::SetRoute(link, route) => {
                f.write_str("ip route replace ")?;
                write_route(f, route, link.as_ref().map(|link| link.name.as_str()))?;
                if route.onlink {
                    f.write_str(" onlink")?;
                }
                if let Some(mtu) = route.mtu {
                    write!(f, " mtu {mtu}")?;
                }
                Ok(())
            }
            Self::RemoveRoute(Installed { link, route }, name) => {
                f.write_str("ip route del ")?;
                write_route(f, route, link.map(|_| name.as_str()))
            }
        }
    }
}

/// What tells a route from others.
fn write_route(f: &mut fmt::Formatter<'_>, route: &Route, link: Option<&str>) -> fmt::Result {
    if route.kind == Kind::Blackhole {
        f.write_str("blackhole ")?;
    }
    write!(f, "{}", route.dst)?;
    if let Some(gw) = route.gw {
        write!(f, " via {gw}")?;
    }
    if let Some(link) = link {
        write!(f, " dev {}", word(link))?;
    }
    write!(f, " proto {}", route.protocol)?;
    if let Some(metric) = route.priority {
        write!(f, " metric {metric}")?;
    }
    Ok(())
}

/// A word as a shell takes it. A link's name may hold almost anything but white space.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+=@:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}
