//! Sets, and maps from keys to counters or to endpoints.
//!
//! But for sets of intervals they are hash tables in the kernel, and an element costs the same
//! however many there are. That does not hold for maps to verdicts: a new element that jumps has the kernel go through all the
//! others, in search of loops (`nft_lookup_validate`).

use std::borrow::Cow;

use kernel::netfilter::{Attributes, Request};

use super::{COUNTER, DEL_SET, GET_SET, NEW_SET, Table, userdata};

const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DATA_TYPE: u16 = 6;
const SET_DATA_LENGTH: u16 = 7;
const SET_ID: u16 = 10;
const SET_USERDATA: u16 = 13;
const SET_OBJECT_TYPE: u16 = 15;
/// `NFT_SET_INTERVAL`
const INTERVALS: u32 = 0x4;
/// `NFT_SET_MAP`
const DATA: u32 = 0x8;
/// `NFT_SET_OBJECT`
const OBJECTS: u32 = 0x40;
/// The kernel wants an id, by which a message could refer to a set of the same transaction. Ours
/// refer to sets by their names.
const ID: u32 = 1;

/// Numbers in nft's `enum datatypes`.
const ADDRESS4: u32 = 7;
const ADDRESS6: u32 = 8;
const PORT: u32 = 13;

/// A set or a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Set {
    pub(crate) table: Table,
    pub(crate) name: Cow<'static, str>,
    /// What its keys are: known to nft alone, the kernel sees bytes.
    pub(crate) key: KeyType,
    pub(crate) holds: Holds,
}

/// What a set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holds {
    /// Single keys.
    Keys,
    /// Keys that lead to counters: a map.
    Counters,
    /// Keys that lead to an address and a port: a map.
    Endpoints { v6: bool },
    /// Ranges of keys. The kernel keeps these in a tree.
    Intervals,
}

/// What the keys of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyType {
    Ipv4,
    Ipv6,
    Link,
    LinkAndMac,
    /// A protocol and a port.
    Port,
    Ipv4AndPort,
    Ipv6AndPort,
    LinkPair,
}

impl KeyType {
    /// The addresses of a family.
    pub(crate) const fn address(v6: bool) -> Self {
        if v6 { Self::Ipv6 } else { Self::Ipv4 }
    }

    /// An address of a family with a protocol and a port.
    pub(crate) const fn address_and_port(v6: bool) -> Self {
        if v6 { Self::Ipv6AndPort } else { Self::Ipv4AndPort }
    }

    /// Nft's number for the type (its `enum datatypes`; a concatenation has six bits for each
    /// part), the key's length in bytes, and nft's number for the byte order (2 is big endian, 1
    /// the machine's, 0 none).
    fn in_nft(self) -> (u32, u32, u32) {
        const ETHER: u32 = 9;
        const PROTOCOL: u32 = 12;
        const IFNAME: u32 = 41;
        const PROTOCOL_AND_PORT: u32 = PROTOCOL << 6 | PORT;
        match self {
            Self::Ipv4 => (ADDRESS4, 4, 2),
            Self::Ipv6 => (ADDRESS6, 16, 2),
            Self::Link => (IFNAME, 16, 1),
            Self::LinkAndMac => (IFNAME << 6 | ETHER, 24, 0),
            Self::Port => (PROTOCOL_AND_PORT, 8, 0),
            Self::Ipv4AndPort => (ADDRESS4 << 12 | PROTOCOL_AND_PORT, 12, 0),
            Self::Ipv6AndPort => (ADDRESS6 << 12 | PROTOCOL_AND_PORT, 24, 0),
            Self::LinkPair => (IFNAME << 6 | IFNAME, 32, 0),
        }
    }
}

impl Set {
    /// `nft add set` or `nft add map`: no error when it is there.
    pub(crate) fn create(&self) -> Request {
        self.create_with("")
    }

    /// The same with a comment, unless that is empty.
    pub(crate) fn create_with(&self, comment: &str) -> Request {
        let (kind, length, order) = self.key.in_nft();
        let flags = match self.holds {
            Holds::Keys => 0,
            Holds::Counters => OBJECTS,
            Holds::Endpoints { .. } => DATA,
            Holds::Intervals => INTERVALS,
        };
        let mut attributes = self
            .named()
            .with_u32(SET_FLAGS, flags)
            .with_u32(SET_KEY_TYPE, kind)
            .with_u32(SET_KEY_LENGTH, length)
            .with_u32(SET_ID, ID)
            .with(SET_USERDATA, &userdata::set(order, comment));
        match self.holds {
            Holds::Counters => attributes = attributes.with_u32(SET_OBJECT_TYPE, COUNTER),
            Holds::Endpoints { v6 } => {
                let (address, length) = if v6 { (ADDRESS6, 20) } else { (ADDRESS4, 8) };
                attributes = attributes
                    .with_u32(SET_DATA_TYPE, address << 6 | PORT)
                    .with_u32(SET_DATA_LENGTH, length);
            }
            Holds::Keys | Holds::Intervals => {}
        }
        self.request("create the set", "", NEW_SET, libc::NLM_F_CREATE, attributes)
    }

    /// `nft list set`, without its elements.
    pub(crate) fn look_up(&self) -> Request {
        self.request("look up the set", "", GET_SET, 0, self.named())
    }

    /// `nft delete set`, with its elements; EBUSY while a rule looks in it.
    pub(crate) fn remove(&self) -> Request {
        self.request("delete the set", "", DEL_SET, 0, self.named())
    }

    fn named(&self) -> Attributes {
        Attributes::new().with_text(SET_TABLE, self.table.name).with_text(SET_NAME, &self.name)
    }

    pub(super) fn request(
        &self,
        op: &'static str,
        key: &str,
        message: u8,
        flags: i32,
        attributes: Attributes,
    ) -> Request {
        let space = if key.is_empty() { "" } else { " " };
        self.table.request(op, &format!("{}{space}{key}", self.name), message, flags, attributes)
    }
}
