//! The elements of sets and maps.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cni::IfName;
use kernel::MacAddr;
use kernel::netfilter::{Attributes, Object, Reader, Request};

use super::{
    DEL_ELEMENT, GET_ELEMENT, Holds, ITEM, KeyType, NEW_ELEMENT, Set, expression, userdata,
};

const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
pub(super) const LIST_ELEMENTS: u16 = 3;
pub(super) const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_USERDATA: u16 = 6;
const ELEMENT_OBJECT: u16 = 9;

/// A link's name in a key: padded with zeros to 16 bytes (`IFNAMSIZ`).
const NAME: usize = 16;

/// The key of an element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Address(IpAddr),
    Link(IfName),
    LinkAndMac(IfName, MacAddr),
    /// The number of a transport protocol (`IPPROTO_*`), and a port of it.
    Port(u8, u16),
    /// The same at one address.
    AddressAndPort(IpAddr, u8, u16),
    LinkPair(IfName, IfName),
}

impl Key {
    /// As the kernel compares it: each part padded to the registers' four bytes.
    fn bytes(&self) -> Vec<u8> {
        let name = |link: &IfName| {
            let mut bytes = link.as_str().as_bytes().to_vec();
            bytes.resize(NAME, 0);
            bytes
        };
        match self {
            Self::Address(address) => expression::bytes(*address),
            Self::Link(link) => name(link),
            Self::LinkAndMac(link, mac) => [&name(link)[..], &mac.0, &[0; 2]].concat(),
            Self::Port(protocol, number) => port(*protocol, *number).to_vec(),
            Self::AddressAndPort(address, protocol, number) => {
                [&expression::bytes(*address)[..], &port(*protocol, *number)].concat()
            }
            Self::LinkPair(from, to) => [name(from), name(to)].concat(),
        }
    }

    /// What the kernel tells; `None` for what is no key of ours.
    fn parse(kind: KeyType, bytes: &[u8]) -> Option<Self> {
        let name = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes.get(..NAME)?).ok()?;
            text.trim_end_matches('\0').parse().ok()
        };
        Some(match kind {
            KeyType::Ipv4 => Self::Address(<[u8; 4]>::try_from(bytes).ok()?.into()),
            KeyType::Ipv6 => Self::Address(<[u8; 16]>::try_from(bytes).ok()?.into()),
            KeyType::Link => Self::Link(name(bytes)?),
            KeyType::LinkAndMac => {
                let mac = bytes.get(NAME..)?.first_chunk()?;
                Self::LinkAndMac(name(bytes)?, MacAddr(*mac))
            }
            KeyType::Port => {
                let (protocol, number) = parse_port(bytes)?;
                Self::Port(protocol, number)
            }
            KeyType::Ipv4AndPort | KeyType::Ipv6AndPort => {
                let (address, rest) = split_address(kind == KeyType::Ipv6AndPort, bytes)?;
                let (protocol, number) = parse_port(rest)?;
                Self::AddressAndPort(address, protocol, number)
            }
            KeyType::LinkPair => Self::LinkPair(name(bytes)?, name(bytes.get(NAME..)?)?),
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Link(link) => link.fmt(f),
            Self::LinkAndMac(link, mac) => write!(f, "{link} . {mac}"),
            Self::Port(protocol, number) => write!(f, "{} . {number}", Protocol(*protocol)),
            Self::AddressAndPort(address, protocol, number) => {
                write!(f, "{address} . {} . {number}", Protocol(*protocol))
            }
            Self::LinkPair(from, to) => write!(f, "{from} . {to}"),
        }
    }
}

/// A protocol's name, where it has ports that we know of.
struct Protocol(u8);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i32::from(self.0) {
            libc::IPPROTO_TCP => f.write_str("tcp"),
            libc::IPPROTO_UDP => f.write_str("udp"),
            libc::IPPROTO_SCTP => f.write_str("sctp"),
            other => other.fmt(f),
        }
    }
}

/// A protocol and a port, each padded.
fn port(protocol: u8, number: u16) -> [u8; 8] {
    let [high, low] = number.to_be_bytes();
    [protocol, 0, 0, 0, high, low, 0, 0]
}

fn parse_port(bytes: &[u8]) -> Option<(u8, u16)> {
    let [protocol, _, _, _, high, low, _, _] = <[u8; 8]>::try_from(bytes).ok()?;
    Some((protocol, u16::from_be_bytes([high, low])))
}

fn split_address(v6: bool, bytes: &[u8]) -> Option<(IpAddr, &[u8])> {
    if v6 {
        let (address, rest) = bytes.split_first_chunk::<16>()?;
        return Some((Ipv6Addr::from(*address).into(), rest));
    }
    let (address, rest) = bytes.split_first_chunk::<4>()?;
    Some((Ipv4Addr::from(*address).into(), rest))
}

/// An address and a port as data: each padded.
fn endpoint(to: SocketAddr) -> Vec<u8> {
    [&expression::bytes(to.ip())[..], &to.port().to_be_bytes(), &[0; 2]].concat()
}

fn parse_endpoint(v6: bool, bytes: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = split_address(v6, bytes)?;
    Some(SocketAddr::new(address, u16::from_be_bytes(*rest.first_chunk()?)))
}

/// An element of one of our sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) set: Set,
    pub(crate) key: Key,
    /// Of a map: the counter that it leads to.
    pub(crate) counter: Option<String>,
    /// Of a map to endpoints: where it leads.
    pub(crate) to: Option<SocketAddr>,
    /// Empty where there is none.
    pub(crate) comment: String,
}

impl Element {
    /// How what there is at its key differs from it. `what` names it for the one who reads.
    pub(crate) fn difference(&self, there: Option<&Self>, what: &str) -> Option<String> {
        let there = match there {
            None => return Some(format!("{what} is missing")),
            Some(there) if there == self => return None,
            Some(there) => there,
        };
        if there.comment != self.comment {
            let (has, wanted) = (&there.comment, &self.comment);
            return Some(format!("{what} belongs to {has:?}, not to {wanted:?}"));
        }
        let name = |element: &Self| element.counter.clone().unwrap_or_else(|| "-".to_owned());
        Some(format!("{what} is counted in {} instead of {}", name(there), name(self)))
    }

    /// `nft create element`: EEXIST when the key is taken.
    pub(crate) fn insert(&self) -> Request {
        let mut element = key(&self.key);
        if !self.comment.is_empty() {
            element = element.with(ELEMENT_USERDATA, &userdata::comment(&self.comment));
        }
        if let Some(counter) = &self.counter {
            element = element.with_text(ELEMENT_OBJECT, counter);
        }
        if let Some(to) = self.to {
            element = element.with_nest(ELEMENT_DATA, &expression::value(&endpoint(to)));
        }
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        self.set.elements("add the element", &self.key.to_string(), (NEW_ELEMENT, flags), element)
    }

    /// The elements that the kernel told of `set`.
    pub(crate) fn listed(set: &Set, object: &Object) -> impl Iterator<Item = Self> {
        object.attributes().nest(LIST_ELEMENTS).filter_map(move |(_, element)| {
            let element = Reader::new(element);
            Some(Self {
                set: set.clone(),
                key: Key::parse(set.key, expression::value_of(&element.nest(ELEMENT_KEY))?)?,
                counter: element.text(ELEMENT_OBJECT).map(str::to_owned),
                to: match set.holds {
                    Holds::Endpoints { v6 } => {
                        let data = element.nest(ELEMENT_DATA);
                        Some(parse_endpoint(v6, expression::value_of(&data)?)?)
                    }
                    _ => None,
                },
                comment: element
                    .find(ELEMENT_USERDATA)
                    .and_then(userdata::comment_of)
                    .unwrap_or_default()
                    .to_owned(),
            })
        })
    }
}

impl Set {
    /// `nft get element`
    pub(crate) fn get(&self, of: &Key) -> Request {
        self.elements("look up the element", &of.to_string(), (GET_ELEMENT, 0), key(of))
    }

    /// `nft delete element`: ENOENT when there is none.
    pub(crate) fn delete(&self, of: &Key) -> Request {
        self.elements("delete the element", &of.to_string(), (DEL_ELEMENT, 0), key(of))
    }

    /// All elements, for a dump.
    pub(crate) fn all(&self) -> Request {
        self.request("list the elements of", "", GET_ELEMENT, 0, self.list())
    }

    /// `nft flush set`
    pub(crate) fn flush(&self) -> Request {
        self.request("flush", "", DEL_ELEMENT, 0, self.list())
    }

    pub(super) fn list(&self) -> Attributes {
        Attributes::new().with_text(LIST_TABLE, self.table.name).with_text(LIST_SET, &self.name)
    }

    fn elements(
        &self,
        op: &'static str,
        key: &str,
        (message, flags): (u8, i32),
        element: Attributes,
    ) -> Request {
        let attributes = self.list().with_list(LIST_ELEMENTS, ITEM, &[element]);
        self.request(op, key, message, flags, attributes)
    }
}

fn key(key: &Key) -> Attributes {
    Attributes::new().with_nest(ELEMENT_KEY, &expression::value(&key.bytes()))
}
