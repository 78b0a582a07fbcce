//! Tracked connections as messages (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use kernel::netfilter::{Attributes, Object, Reader, Request};

use crate::nft::expression::bytes;
use crate::nft::{IPV4, IPV6};

/// `NFNL_SUBSYS_CTNETLINK`
const SUBSYSTEM: u8 = 1;
const GET: u8 = 1;
const DELETE: u8 = 2;

const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const STATUS_MASK: u16 = 26;

const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const SOURCE4: u16 = 1;
const DESTINATION4: u16 = 2;
const SOURCE6: u16 = 3;
const DESTINATION6: u16 = 4;
const NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// `IPS_DST_NAT`
const TRANSLATED: u32 = 1 << 5;
/// `NLA_F_NESTED`, for a nest that is sent back as it came.
const NESTED: u16 = 1 << 15;

/// What of a tuple is compared (`CTA_FILTER_F_*`).
const BY_SOURCE: u32 = 1;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// Which connections are listed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) v6: bool,
    /// Only those whose destination was changed.
    pub(super) translated: bool,
    /// Only those to this port; with a protocol.
    pub(super) port: Option<u16>,
    pub(super) protocol: Option<u8>,
    /// Only those that are answered from this address.
    pub(super) answers_from: Option<IpAddr>,
}

impl Filter {
    /// Lists them.
    pub(super) fn request(&self) -> Request {
        let what = ("list", "tracked connections");
        Request::new(what, (SUBSYSTEM, GET), 0, self.family(), self.attributes())
    }

    /// Forgets them all (`CTA_FILTER` of a removal, since Linux 6.11). EINVAL from kernels that look for one
    /// connection by what is told of it here, which is too little for that. Not for a filter without an
    /// address or a protocol: those kernels would forget everything.
    pub(super) fn removal(&self) -> Request {
        let what = ("forget", "tracked connections");
        // Of version 0 the kernel passes over the family.
        Request::new(what, (SUBSYSTEM, DELETE), 0, self.family(), self.attributes()).version(1)
    }

    fn family(&self) -> u8 {
        if self.v6 { IPV6 } else { IPV4 }
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::new();
        let mut flags = Attributes::new();
        // These are numbers of the machine's byte order, unlike all others.
        if let Some(protocol) = self.protocol {
            let mut tuple = Attributes::new().with(NUMBER, &[protocol]);
            let mut by = BY_PROTOCOL;
            if let Some(port) = self.port {
                tuple = tuple.with(DESTINATION_PORT, &port.to_be_bytes());
                by |= BY_DESTINATION_PORT;
            }
            let tuple = Attributes::new().with_nest(TUPLE_PROTOCOL, &tuple);
            attributes = attributes.with_nest(ORIGINAL, &tuple);
            flags = flags.with(1, &by.to_ne_bytes());
        }
        if let Some(address) = self.answers_from {
            let source = if self.v6 { SOURCE6 } else { SOURCE4 };
            let tuple = Attributes::new().with(source, &bytes(address));
            let tuple = Attributes::new().with_nest(TUPLE_ADDRESSES, &tuple);
            attributes = attributes.with_nest(REPLY, &tuple);
            flags = flags.with(2, &BY_SOURCE.to_ne_bytes());
        }
        if self.translated {
            attributes = attributes.with_u32(STATUS, TRANSLATED).with_u32(STATUS_MASK, TRANSLATED);
        }
        if flags != Attributes::new() {
            attributes = attributes.with_nest(FILTER, &flags);
        }
        attributes
    }
}

/// A tracked connection.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) protocol: u8,
    /// Source and destination of what began it.
    pub(super) original: (SocketAddr, SocketAddr),
    /// Of what answers it.
    pub(super) reply: (SocketAddr, SocketAddr),
    /// Its destination was changed.
    pub(super) translated: bool,
    family: u8,
    /// What names it, as the kernel wrote it.
    name: Attributes,
}

impl Entry {
    /// `None` for what has no ports.
    pub(super) fn of(object: &Object) -> Option<Self> {
        let all = object.attributes();
        let (protocol, original) = tuple(&all.nest(ORIGINAL))?;
        let (_, reply) = tuple(&all.nest(REPLY))?;
        let mut name = Attributes::new().with(ORIGINAL | NESTED, all.find(ORIGINAL)?);
        for kind in [ID, ZONE] {
            if let Some(value) = all.find(kind) {
                name = name.with(kind, value);
            }
        }
        let translated = all.number(STATUS).unwrap_or_default() & TRANSLATED != 0;
        Some(Self { protocol, original, reply, translated, family: object.family, name })
    }

    /// `conntrack -D`: ENOENT when it is gone.
    pub(super) fn delete(&self) -> Request {
        let (source, destination) = self.original;
        let what = ("forget the connection", format!("from {source} to {destination}"));
        Request::new(what, (SUBSYSTEM, DELETE), 0, self.family, self.name.clone())
    }
}

fn tuple(tuple: &Reader<'_>) -> Option<(u8, (SocketAddr, SocketAddr))> {
    let (addresses, protocol) = (tuple.nest(TUPLE_ADDRESSES), tuple.nest(TUPLE_PROTOCOL));
    let address = |v4: u16, v6: u16| -> Option<IpAddr> {
        if let Some(bytes) = addresses.find(v4) {
            return Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into());
        }
        Some(Ipv6Addr::from(<[u8; 16]>::try_from(addresses.find(v6)?).ok()?).into())
    };
    let port = |kind| Some(u16::from_be_bytes(protocol.find(kind)?.try_into().ok()?));
    let source = SocketAddr::new(address(SOURCE4, SOURCE6)?, port(SOURCE_PORT)?);
    let destination =
        SocketAddr::new(address(DESTINATION4, DESTINATION6)?, port(DESTINATION_PORT)?);
    Some((*protocol.find(NUMBER)?.first()?, (source, destination)))
}
