//! A lease of DHCP (RFC 2131).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use cni::{AddResult, Dns, IpConfig, Route};
use ipnetwork::{IpNetwork, Ipv4Network};
use serde::{Deserialize, Serialize};

/// The codes of the options that are read (RFC 2132, 3397, 3442).
pub mod option {
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTERS: u8 = 3;
    pub const NAME_SERVERS: u8 = 6;
    pub const DOMAIN: u8 = 15;
    pub const MTU: u8 = 26;
    pub const STATIC_ROUTES: u8 = 33;
    pub const LEASE_TIME: u8 = 51;
    pub const SERVER: u8 = 54;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const SEARCH: u8 = 119;
    pub const CLASSLESS_ROUTES: u8 = 121;
}

/// A lease that never ends (RFC 2131, section 3.3).
const FOR_EVER: u32 = u32::MAX;
/// `net/ipv4/conf/*/` works with less, but RFC 791 demands this of every host.
const SMALLEST_MTU: u16 = 576;

/// What a server granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The length of its subnet's prefix.
    pub prefix: u8,
    /// The first router.
    pub gateway: Option<Ipv4Addr>,
    /// Routes.
    pub routes: Vec<Through>,
    /// Resolvers.
    pub name_servers: Vec<Ipv4Addr>,
    /// The domain's name.
    pub domain: String,
    /// Domains to search.
    pub search: Vec<String>,
    /// The MTU of the network.
    pub mtu: Option<u16>,
    /// Who granted it.
    pub server: Ipv4Addr,
    /// Its times in seconds from the grant on: renewal, rebinding, end. `None` is never.
    pub times: Option<Times>,
}

/// When what is due, in seconds after the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The server is asked to renew (T1).
    pub renewal: u32,
    /// Any server is asked (T2).
    pub rebinding: u32,
    /// The address must not be used any more.
    pub end: u32,
}

/// A route to a prefix, through a router or on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// The destination.
    pub dst: Ipv4Addr,
    /// Its prefix length.
    pub prefix: u8,
    /// The router; `None` is on the link.
    pub router: Option<Ipv4Addr>,
}

/// What every option that a message has held, by code.
pub type Options = BTreeMap<u8, Vec<u8>>;

impl Lease {
    /// The lease that an offer or an acknowledgement of `address` with these options is. The error
    /// says what is wrong with it.
    pub fn of(address: Ipv4Addr, options: &Options, search: Vec<String>) -> Result<Self, String> {
        if address.is_unspecified()
            || address.is_multicast()
            || address.is_broadcast()
            || address.is_loopback()
        {
            return Err(format!("{address} is no host's address"));
        }
        let first = |code: u8| options.get(&code).and_then(|value| addresses(value).next());
        let server = first(option::SERVER).ok_or("it does not name the server (option 54)")?;
        let mask = first(option::SUBNET_MASK).ok_or("it has no subnet mask (option 1)")?;
        let prefix = u8::try_from(mask.to_bits().leading_ones()).unwrap_or_default();
        if mask.to_bits().count_ones() != u32::from(prefix) || prefix == 0 {
            return Err(format!("{mask} is no subnet mask (option 1)"));
        }
        let gateway = first(option::ROUTERS).filter(|router| !router.is_unspecified());
        let text = |code: u8| options.get(&code).map(|value| printable(value)).unwrap_or_default();
        let list = |code: u8| options.get(&code).map_or(&[][..], Vec::as_slice);
        Ok(Self {
            address,
            prefix,
            gateway,
            routes: routes(options, gateway),
            name_servers: addresses(list(option::NAME_SERVERS)).collect(),
            domain: text(option::DOMAIN),
            search,
            mtu: options
                .get(&option::MTU)
                .and_then(|value| Some(u16::from_be_bytes(value.as_slice().try_into().ok()?)))
                .filter(|mtu| *mtu >= SMALLEST_MTU),
            server,
            times: Times::of(options)?,
        })
    }

    /// The address with its prefix length.
    pub fn cidr(&self) -> IpNetwork {
        cidr(self.address, self.prefix)
    }

    /// What the attachment gets, as CNI says it.
    pub fn result(&self, priority: u32) -> AddResult {
        AddResult {
            interfaces: Vec::new(),
            ips: vec![IpConfig {
                interface: None,
                address: self.cidr(),
                gateway: self.gateway.map(Into::into),
            }],
            routes: self.routes.iter().map(|route| route.result(priority)).collect(),
            dns: Dns {
                nameservers: self.name_servers.iter().map(ToString::to_string).collect(),
                domain: self.domain.clone(),
                search: self.search.clone(),
                options: Vec::new(),
            },
        }
    }

    /// True when the container has to be told nothing new: the grant differs in its times alone, or
    /// in what only an ADD can tell.
    pub fn configures_as(&self, other: &Self) -> bool {
        (self.address, self.prefix, self.gateway) == (other.address, other.prefix, other.gateway)
            && self.routes == other.routes
    }
}

impl Through {
    fn result(self, priority: u32) -> Route {
        /// `RT_SCOPE_LINK`
        const LINK: u8 = 253;
        Route {
            dst: cidr(self.dst, self.prefix),
            gw: self.router.map(Into::into),
            mtu: None,
            advmss: None,
            priority: (priority != 0).then_some(priority),
            table: None,
            scope: self.router.is_none().then_some(LINK),
        }
    }
}

impl Times {
    /// T1 is half and T2 seven eighths of the lease's time, unless the server says something that
    /// holds together (RFC 2131, section 4.4.5).
    fn of(options: &Options) -> Result<Option<Self>, String> {
        let seconds = |code: u8| {
            options
                .get(&code)
                .and_then(|value| Some(u32::from_be_bytes(value.as_slice().try_into().ok()?)))
        };
        let end = seconds(option::LEASE_TIME).ok_or("it has no lease time (option 51)")?;
        match end {
            0 => return Err("its lease time (option 51) is 0".to_owned()),
            FOR_EVER => return Ok(None),
            _ => {}
        }
        let rebinding = seconds(option::REBINDING_TIME)
            .filter(|t2| *t2 > 0 && *t2 <= end)
            .unwrap_or_else(|| end - end / 8);
        let renewal = seconds(option::RENEWAL_TIME)
            .filter(|t1| *t1 > 0 && *t1 <= rebinding)
            .unwrap_or_else(|| (end / 2).min(rebinding));
        Ok(Some(Self { renewal: renewal.max(1), rebinding: rebinding.max(1), end }))
    }
}

/// Classless routes alone where there are any (RFC 3442), else the classful ones and the default.
fn routes(options: &Options, gateway: Option<Ipv4Addr>) -> Vec<Through> {
    if let Some(classless) = options.get(&option::CLASSLESS_ROUTES) {
        let routes = classless_routes(classless);
        if !routes.is_empty() {
            return routes;
        }
    }
    let pairs: Vec<Ipv4Addr> =
        options.get(&option::STATIC_ROUTES).map(|v| addresses(v).collect()).unwrap_or_default();
    let classful = pairs.as_chunks::<2>().0.iter().filter_map(|[dst, router]| {
        // A default route is not to be made this way (RFC 2132, section 5.8).
        let prefix = class(*dst).filter(|_| !dst.is_unspecified())?;
        Some(route(*dst, prefix, *router))
    });
    let default = gateway.map(|router| route(Ipv4Addr::UNSPECIFIED, 0, router));
    classful.chain(default).collect()
}

/// Descriptors of a width, the significant octets of a destination and a router. What comes behind a
/// malformed one is not read.
fn classless_routes(mut bytes: &[u8]) -> Vec<Through> {
    let mut routes = Vec::new();
    while let Some((&prefix, rest)) = bytes.split_first() {
        let octets = usize::from(prefix).div_ceil(8);
        let Some((dst, rest)) = rest.split_at_checked(octets).filter(|_| prefix <= 32) else {
            break;
        };
        let Some((router, rest)) = rest.split_first_chunk::<4>() else { break };
        let mut whole = [0; 4];
        whole.iter_mut().zip(dst).for_each(|(to, from)| *to = *from);
        routes.push(route(whole.into(), prefix, (*router).into()));
        bytes = rest;
    }
    routes
}

/// A destination's host bits are cleared: the kernel refuses them. The router 0.0.0.0 is the link.
fn route(dst: Ipv4Addr, prefix: u8, router: Ipv4Addr) -> Through {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Through {
        dst: Ipv4Addr::from_bits(dst.to_bits() & mask),
        prefix,
        router: (!router.is_unspecified()).then_some(router),
    }
}

/// The prefix length of an address's class: what a route without a mask means.
fn class(address: Ipv4Addr) -> Option<u8> {
    match address.octets()[0] {
        0..=127 => Some(8),
        128..=191 => Some(16),
        192..=223 => Some(24),
        _ => None,
    }
}

fn addresses(bytes: &[u8]) -> impl Iterator<Item = Ipv4Addr> {
    bytes.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets))
}

/// The text, without the NUL that some servers end it with. Anything that a resolver's file or a log
/// could take for something else ends it.
fn printable(bytes: &[u8]) -> String {
    let text = bytes.iter().take_while(|byte| byte.is_ascii_graphic());
    text.map(|byte| char::from(*byte)).collect()
}

fn cidr(address: Ipv4Addr, prefix: u8) -> IpNetwork {
    Ipv4Network::new(address, prefix).unwrap_or_else(|_| address.into()).into()
}

#[cfg(test)]
mod tests;
