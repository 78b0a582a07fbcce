//! The contents of interval sets. The kernel keeps where an interval begins and where the next
//! address after it stands as two elements, the latter marked as an end; an interval up to the
//! highest address has no end (`net/netfilter/nft_set_rbtree.c`).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnetwork::IpNetwork;
use kernel::netfilter::{Attributes, Object, Reader, Request};

use super::element::{ELEMENT_KEY, LIST_ELEMENTS};
use super::{DEL_ELEMENT, ITEM, KeyType, NEW_ELEMENT, Set, expression};

const ELEMENT_FLAGS: u16 = 3;
/// `NFT_SET_ELEM_INTERVAL_END`
const END: u32 = 1;

/// How many intervals go into one message: an attribute holds 64 KiB, and one of IPv6 takes 64
/// bytes. An interval is never parted: newer kernels want its two elements one after the other.
const SOME: usize = 500;

/// Addresses of one family, as numbers: from the first to the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    first: u128,
    last: u128,
}

impl Interval {
    /// The addresses of these networks that are of one family: without overlaps, in order.
    pub(crate) fn disjoint(networks: &[IpNetwork], v6: bool) -> Vec<Self> {
        let mut intervals: Vec<_> =
            networks.iter().filter(|network| network.is_ipv6() == v6).map(Self::of).collect();
        intervals.sort_by_key(|interval| (interval.first, u128::MAX - interval.last));
        // Of two networks that overlap, one holds the other.
        let mut end = None;
        intervals.retain(|interval| {
            let new = end.is_none_or(|end| interval.last > end);
            end = end.max(Some(interval.last));
            new
        });
        intervals
    }

    fn of(network: &IpNetwork) -> Self {
        Self { first: number(network.network()), last: number(network.broadcast()) }
    }

    /// The contents of `set` in what a dump of it told, in order; `None` where its elements do not
    /// make up intervals.
    pub(crate) fn listed(set: &Set, objects: &[Object]) -> Option<Vec<Self>> {
        let mut edges = Vec::new();
        for (_, element) in objects.iter().flat_map(|o| o.attributes().nest(LIST_ELEMENTS)) {
            let element = Reader::new(element);
            let key = expression::value_of(&element.nest(ELEMENT_KEY))?;
            let begins = element.number(ELEMENT_FLAGS).unwrap_or_default() & END == 0;
            edges.push((parse(set.key, key)?, begins));
        }
        edges.sort_unstable(); // an end comes before the beginning at the same place
        let mut intervals = Vec::with_capacity(edges.len() / 2);
        let mut open = None;
        for (at, begins) in edges {
            match (open, begins) {
                (None, true) => open = Some(at),
                (Some(first), false) => {
                    intervals.push(Self { first, last: at.checked_sub(1)? });
                    open = None;
                }
                // What nft puts in front of all intervals.
                (None, false) if at == 0 => {}
                _ => return None,
            }
        }
        intervals.extend(open.map(|first| Self { first, last: highest(set.key) }));
        Some(intervals)
    }

    /// As CIDR where it is one, else `FIRST-LAST`.
    pub(crate) fn of_family(self, v6: bool) -> impl fmt::Display {
        let (first, last) = (address(self.first, v6), address(self.last, v6));
        let (bits, size) = (if v6 { 128 } else { 32 }, self.last - self.first);
        let host = u128::BITS - size.leading_zeros();
        let prefix = u8::try_from(bits - host).unwrap_or_default();
        match IpNetwork::new(first, prefix) {
            Ok(network) if Self::of(&network) == self => network.to_string(),
            _ => format!("{first}-{last}"),
        }
    }

    fn elements(self, key: KeyType) -> impl Iterator<Item = Attributes> {
        let element =
            move |at| Attributes::new().with_nest(ELEMENT_KEY, &expression::value(&bytes(key, at)));
        let end =
            (self.last < highest(key)).then(|| element(self.last + 1).with_u32(ELEMENT_FLAGS, END));
        std::iter::once(element(self.first)).chain(end)
    }
}

impl Set {
    /// `nft create element`: EEXIST or ENOTEMPTY when something of it is there.
    pub(crate) fn insert_intervals(&self, intervals: &[Interval]) -> Vec<Request> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.intervals("add intervals to", (NEW_ELEMENT, flags), intervals)
    }

    /// `nft delete element`: ENOENT when there is no such interval.
    pub(crate) fn delete_intervals(&self, intervals: &[Interval]) -> Vec<Request> {
        self.intervals("delete intervals of", (DEL_ELEMENT, 0), intervals)
    }

    fn intervals(
        &self,
        op: &'static str,
        (message, flags): (u8, i32),
        intervals: &[Interval],
    ) -> Vec<Request> {
        let request = |some: &[Interval]| {
            let elements: Vec<_> = some.iter().flat_map(|i| i.elements(self.key)).collect();
            let attributes = self.list().with_list(LIST_ELEMENTS, ITEM, &elements);
            self.request(op, "", message, flags, attributes)
        };
        intervals.chunks(SOME).map(request).collect()
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(number: u128, v6: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(v4) if !v6 => IpAddr::V4(v4.into()),
        _ => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

fn highest(key: KeyType) -> u128 {
    if key == KeyType::Ipv6 { u128::MAX } else { u32::MAX.into() }
}

fn bytes(key: KeyType, at: u128) -> Vec<u8> {
    expression::bytes(address(at, key == KeyType::Ipv6))
}

fn parse(key: KeyType, bytes: &[u8]) -> Option<u128> {
    match key {
        KeyType::Ipv6 => bytes.try_into().ok().map(u128::from_be_bytes),
        _ => bytes.try_into().ok().map(u32::from_be_bytes).map(u128::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &str) -> Vec<IpNetwork> {
        texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
    }

    fn texts(networks_of: &str, v6: bool) -> Vec<String> {
        let disjoint = Interval::disjoint(&networks(networks_of), v6);
        disjoint.into_iter().map(|i| i.of_family(v6).to_string()).collect()
    }

    #[test]
    fn networks_within_others_go_and_neighbours_stay_apart() {
        let all = "10.1.0.0/16 10.1.2.3/32 fd00::/8 10.1.0.0/16 10.0.0.0/16 10.1.0.0/24 192.0.2.1/32 \
                   fd00::1/128 fe80::1/64 192.0.2.0/32 10.1.255.255/32";
        assert_eq!(
            texts(all, false),
            ["10.0.0.0/16", "10.1.0.0/16", "192.0.2.0/32", "192.0.2.1/32"]
        );
        assert_eq!(texts(all, true), ["fd00::/8", "fe80::/64"]);
        assert_eq!(texts("0.0.0.0/0 255.255.255.255/32", false), ["0.0.0.0/0"]);
        assert_eq!(texts("::/0 ffff::/16", true), ["::/0"]);
        assert_eq!(texts("", true), [""; 0]);
    }

    #[test]
    fn what_is_no_cidr_is_told_by_its_ends() {
        let interval = |first: &str, last: &str| Interval {
            first: number(first.parse().unwrap()),
            last: number(last.parse().unwrap()),
        };
        for (first, last, text) in [
            ("10.0.0.1", "10.0.0.2", "10.0.0.1-10.0.0.2"),
            ("10.0.0.0", "10.0.0.2", "10.0.0.0-10.0.0.2"),
            ("10.0.0.2", "10.0.0.3", "10.0.0.2/31"),
        ] {
            assert_eq!(interval(first, last).of_family(false).to_string(), text);
        }
        assert_eq!(interval("::1", "::1").of_family(true).to_string(), "::1/128");
        assert_eq!(interval("::1", "::5").of_family(true).to_string(), "::1-::5");
    }
}
