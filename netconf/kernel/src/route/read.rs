//! Reading a route as the kernel tells it.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::{Kind, Route};
use crate::attributes::{ip, number, of, short, switch};
use crate::message::{Object, kind};

/// `RTA_*` of include/uapi/linux/rtnetlink.h.
mod attribute {
    pub const DESTINATION: u16 = 1;
    pub const LINK: u16 = 4;
    pub const GATEWAY: u16 = 5;
    pub const PRIORITY: u16 = 6;
    pub const PREFERRED_SOURCE: u16 = 7;
    pub const METRICS: u16 = 8;
    pub const MULTIPATH: u16 = 9;
    pub const SOURCE: u16 = 2;
    pub const INCOMING: u16 = 3;
    pub const REALM: u16 = 11;
    pub const CACHE: u16 = 12;
    pub const TABLE: u16 = 15;
    pub const MARK: u16 = 16;
    pub const VIA: u16 = 18;
    pub const PREFERENCE: u16 = 20;
    pub const ENCAPSULATION_KIND: u16 = 21;
    pub const ENCAPSULATION: u16 = 22;
    pub const EXPIRES: u16 = 23;
    pub const PADDING: u16 = 24;
    pub const NEXTHOP_OBJECT: u16 = 30;
    /// Inside `METRICS` (`RTAX_*`).
    pub const MTU: u16 = 2;
    pub const ADVERTISED_MSS: u16 = 8;
    pub const LOCK: u16 = 1;
    pub const WINDOW: u16 = 3;
}

/// `RTN_*`.
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
const BLACKHOLE: u8 = 6;
/// `RTNH_F_ONLINK`.
const ONLINK: u32 = 4;
/// `struct rtmsg` and `struct rtnexthop`.
const HEADER: usize = 12;
const HOP_HEADER: usize = 8;

/// A route as it came.
pub struct Received {
    /// The route, with its table's number.
    pub route: Route,
    /// The link; `None` where there are several hops, and for a blackhole (IPv6 names lo there).
    pub link: Option<u32>,
    /// The hops where there are several.
    pub hops: Vec<Hop>,
    /// What [`Route`] has no place for, as `ip` calls it where it does.
    pub beyond: Vec<&'static str>,
    /// A nexthop object tells link and gateway, and the route itself perhaps neither.
    pub by_object: bool,
}

/// One of several ways.
pub struct Hop {
    pub link: u32,
    pub gw: Option<IpAddr>,
}

/// Reads one of a family; `None` when it is something else.
pub fn read(object: &Object, ipv6: bool) -> Option<Received> {
    let (header, attributes) = object.payload.split_at_checked(HEADER)?;
    let &[family, length, source, tos, table, protocol, scope, sort, ..] = header else {
        return None;
    };
    let wanted = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    if object.kind != kind::NEW_ROUTE || i32::from(family) != wanted {
        return None;
    }
    let unspecified: IpAddr = if ipv6 { [0_u16; 8].into() } else { [0_u8; 4].into() };
    let mut dst = unspecified;
    let mut link = None;
    let mut hops = Vec::new();
    let mut beyond = Vec::new();
    if source > 0 {
        beyond.push("from");
    }
    if tos > 0 {
        beyond.push("tos");
    }
    let mut by_object = false;
    let mut route = Route::to(IpNetwork::new(unspecified, 0).ok()?);
    route.kind = match sort {
        UNICAST => Kind::Unicast,
        LOCAL => Kind::Local,
        BLACKHOLE => Kind::Blackhole,
        _ => Kind::Other,
    };
    route.protocol = protocol;
    route.scope = scope;
    route.table = Some(u32::from(table));
    route.onlink = number(header.get(8..)?)? & ONLINK != 0;
    for (kind, value) in of(attributes) {
        match kind {
            attribute::DESTINATION => dst = ip(value)?,
            attribute::GATEWAY => route.gw = ip(value),
            attribute::PREFERRED_SOURCE => route.src = ip(value),
            attribute::LINK => link = number(value),
            attribute::PRIORITY => route.priority = number(value),
            attribute::TABLE => route.table = number(value),
            attribute::MULTIPATH => {
                hops = hops_of(value);
                beyond.push("nexthop");
            }
            attribute::METRICS => metrics(value, &mut route, &mut beyond),
            attribute::NEXTHOP_OBJECT => {
                by_object = true;
                beyond.push("nhid");
            }
            // `struct rta_cacheinfo` has the time to live as its third number; IPv6 always tells it.
            attribute::CACHE if value.get(8..12).and_then(number).unwrap_or_default() == 0 => {}
            attribute::PREFERENCE if !switch(value) => {}
            attribute::PADDING => {}
            other => beyond.extend(word(other)),
        }
    }
    route.dst = IpNetwork::new(dst, length).ok()?;
    if route.kind == Kind::Blackhole {
        link = None;
    }
    Some(Received { route, link, hops, beyond, by_object })
}

/// What an attribute that nothing here reads is called; `None` for what the header says, too.
fn word(kind: u16) -> Option<&'static str> {
    Some(match kind {
        attribute::INCOMING => "iif",
        attribute::REALM => "realm",
        attribute::MARK => "mark",
        attribute::VIA => "via a gateway of the other family",
        attribute::PREFERENCE => "pref",
        attribute::SOURCE | attribute::ENCAPSULATION_KIND => return None,
        attribute::ENCAPSULATION => "encap",
        attribute::CACHE | attribute::EXPIRES => "expires",
        _ => "an attribute that is not known here",
    })
}

fn metrics(value: &[u8], route: &mut Route, beyond: &mut Vec<&'static str>) {
    for (kind, value) in of(value) {
        match kind {
            attribute::MTU => route.mtu = number(value),
            attribute::ADVERTISED_MSS => route.advmss = number(value),
            attribute::LOCK => beyond.push("lock"),
            attribute::WINDOW => beyond.push("window"),
            _ => beyond.push("a metric that is not known here"),
        }
    }
}

/// `struct rtnexthop` (length, flags, weight, link), each followed by its attributes.
fn hops_of(value: &[u8]) -> Vec<Hop> {
    let mut rest = value;
    let next = || {
        let length = usize::from(short(rest.get(..2)?)?);
        let link = number(rest.get(4..HOP_HEADER)?)?;
        let mut attributes = of(rest.get(HOP_HEADER..length)?);
        let gateway = attributes.find(|(kind, _)| *kind == attribute::GATEWAY);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Hop { link, gw: gateway.and_then(|(_, value)| ip(value)) })
    };
    std::iter::from_fn(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_messages_are_no_routes_and_cause_no_panic() {
        let object = |payload: Vec<u8>| Object { kind: kind::NEW_ROUTE, payload };
        assert!(read(&object(vec![]), false).is_none());
        let header = [2, 24, 0, 0, 254, 112, 0, 1, 4, 0, 0, 0];
        let whole = read(&object(header.to_vec()), false).unwrap();
        assert!(whole.route.onlink && whole.route.protocol == 112);
        assert!(read(&object(header.to_vec()), true).is_none());
        // A prefix longer than an address, an address of no family.
        assert!(read(&object([&[2, 33], &header[2..]].concat()), false).is_none());
        assert!(read(&object([&header[..], &[7, 0, 1, 0, 10, 1, 2]].concat()), false).is_none());
        // Hops that are cut short, or claim to be of no length at all.
        for claimed in 0..24 {
            let hop = [claimed, 0, 0, 0, 3, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 9];
            let all = [&header[..], &[20, 0, 9, 0], &hop].concat();
            let hops = read(&object(all), false).unwrap().hops;
            assert_eq!(!hops.is_empty(), (8..=16).contains(&claimed), "{claimed}");
        }
    }
}
