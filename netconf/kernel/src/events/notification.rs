//! One notification, as far as it matters whom it concerns.

use std::net::IpAddr;

use netlink_packet_core::NetlinkBuffer;

use super::Ruleset;
use crate::message::{Object, kind};
use crate::route::Installed;
use crate::{MacAddr, attributes, link, neighbour, route};

/// Something came, changed or went: only what tells whose it is. What it is like now is to be asked
/// of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A link of this index and name.
    Link(u32, String),
    /// An address of a link.
    Address(u32, IpAddr),
    /// A neighbour or FDB entry of a link.
    Neighbour(Heard),
    /// A route, of whatever table.
    Route {
        /// It went.
        gone: bool,
        /// What it is like, or was.
        installed: Installed,
    },
    /// Sysctls of a link, or those of all links where none is told.
    Configuration(Option<u32>),
    /// A part of the ruleset of nf_tables.
    Ruleset(Ruleset),
    /// Some were lost.
    Lost,
}

/// What is told of a neighbour or FDB entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its link.
    pub link: u32,
    /// It went.
    pub gone: bool,
    /// It does not age.
    pub permanent: bool,
    /// It is one of a forwarding database.
    pub is_forwarding: bool,
    /// The neighbour's address, or the VTEP's.
    pub ip: Option<IpAddr>,
    /// The hardware address.
    pub mac: Option<MacAddr>,
}

/// `struct ifaddrmsg`, and its attributes.
const ADDRESS_HEADER: usize = 8;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
/// `struct netconfmsg`, and its attribute (include/uapi/linux/netconf.h).
const CONFIGURATION_HEADER: usize = 4;
const INDEX: u16 = 1;
/// `NETCONFA_IFINDEX_ALL`; what stands beside it is for links to come.
const ALL: i32 = -1;

impl Notification {
    /// Reads what a datagram holds; ends where it is malformed, passes over what is something else.
    pub(super) fn read_all(datagram: &[u8], told: &mut dyn FnMut(Self)) {
        let mut rest = datagram;
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            let object =
                Object { kind: message.message_type(), payload: message.payload().to_vec() };
            if let Some(one) = Self::read(object) {
                told(one);
            }
            let length = message.length() as usize;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    fn read(object: Object) -> Option<Self> {
        match object.kind {
            kind::NEW_LINK | kind::DELETE_LINK => {
                let (index, name) = link::named(&object.payload)?;
                Some(Self::Link(index, name))
            }
            kind::NEW_ADDRESS | kind::DELETE_ADDRESS => address(&object.payload),
            kind::NEW_NEIGHBOUR | kind::DELETE_NEIGHBOUR => {
                let gone = object.kind == kind::DELETE_NEIGHBOUR;
                neighbour(&Object { kind: kind::NEW_NEIGHBOUR, ..object }, gone)
            }
            kind::NEW_ROUTE | kind::DELETE_ROUTE => {
                let ipv6 = i32::from(*object.payload.first()?) == libc::AF_INET6;
                let gone = object.kind == kind::DELETE_ROUTE;
                let object = Object { kind: kind::NEW_ROUTE, ..object };
                let installed = route::received(&object, ipv6)?;
                Some(Self::Route { gone, installed })
            }
            kind::NEW_CONFIGURATION => configuration(&object.payload),
            _ => None,
        }
    }
}

fn configuration(payload: &[u8]) -> Option<Notification> {
    let rest = payload.get(CONFIGURATION_HEADER..)?;
    let (_, index) = attributes::of(rest).find(|(kind, _)| *kind == INDEX)?;
    let index = i32::from_ne_bytes(index.try_into().ok()?);
    match u32::try_from(index) {
        Ok(link) => Some(Notification::Configuration(Some(link))),
        Err(_) => (index == ALL).then_some(Notification::Configuration(None)),
    }
}

fn neighbour(object: &Object, gone: bool) -> Option<Notification> {
    let entry = neighbour::Entry::split(object)?;
    let is_forwarding =
        object.payload.first().map(|family| i32::from(*family)) == Some(libc::AF_BRIDGE);
    let mut heard = Heard {
        link: entry.link,
        gone,
        permanent: entry.state & neighbour::PERMANENT != 0,
        is_forwarding,
        ip: None,
        mac: None,
    };
    for (kind, value) in attributes::of(entry.attributes) {
        match kind {
            neighbour::DESTINATION => heard.ip = attributes::ip(value),
            neighbour::HARDWARE_ADDRESS => heard.mac = value.try_into().ok().map(MacAddr),
            _ => {}
        }
    }
    Some(Notification::Neighbour(heard))
}

fn address(payload: &[u8]) -> Option<Notification> {
    let (header, rest) = payload.split_at_checked(ADDRESS_HEADER)?;
    let link = attributes::number(header.get(4..8)?)?;
    let find = |wanted: u16| attributes::of(rest).find(|(kind, _)| *kind == wanted);
    // With a peer at the other end, `ADDRESS` is the peer's.
    let (_, own) = find(LOCAL).or_else(|| find(ADDRESS))?;
    Some(Notification::Address(link, attributes::ip(own)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datagram: &[u8]) -> Vec<Notification> {
        let mut all = Vec::new();
        Notification::read_all(datagram, &mut |one| all.push(one));
        all
    }

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(payload);
        message
    }

    #[test]
    fn what_changed_is_told_apart() {
        let address = [2, 24, 0, 0, 7, 0, 0, 0, 8, 0, 2, 0, 10, 0, 0, 9];
        let neighbour = [2, 0, 0, 0, 5, 0, 0, 0, 0x80, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 7];
        let mut both = message(kind::NEW_ADDRESS, &address);
        both.extend(message(kind::DELETE_NEIGHBOUR, &neighbour));
        let ip = [10, 0, 0, 9].into();
        let gone = Heard {
            link: 5,
            gone: true,
            permanent: true,
            is_forwarding: false,
            ip: Some([10, 0, 0, 7].into()),
            mac: None,
        };
        assert_eq!(read(&both), [Notification::Address(7, ip), Notification::Neighbour(gone)]);
        let entry = [7, 0, 0, 0, 5, 0, 0, 0, 2, 0, 2, 0, 10, 0, 2, 0, 2, 0, 0, 0, 0, 9, 0, 0];
        let [Notification::Neighbour(heard)] = &*read(&message(kind::NEW_NEIGHBOUR, &entry)) else {
            panic!()
        };
        assert!(heard.is_forwarding && !heard.permanent && !heard.gone);
        assert_eq!(heard.mac, Some(MacAddr([2, 0, 0, 0, 0, 9])));
        let route = [2, 0, 0, 0, 254, 112, 0, 1, 0, 0, 0, 0, 8, 0, 4, 0, 3, 0, 0, 0];
        let all = read(&message(kind::DELETE_ROUTE, &route));
        let [Notification::Route { gone: true, installed }] = all.as_slice() else {
            panic!("{all:?}")
        };
        assert_eq!((installed.link, installed.route.protocol), (Some(3), 112));
        let of = |index: i32| {
            let mut payload = vec![2, 0, 0, 0, 8, 0, 1, 0];
            payload.extend(index.to_ne_bytes());
            read(&message(kind::NEW_CONFIGURATION, &payload))
        };
        assert_eq!(of(5), [Notification::Configuration(Some(5))]);
        assert_eq!(of(-1), [Notification::Configuration(None)]);
        assert_eq!(of(-2), []);
    }

    #[test]
    fn malformed_notifications_are_passed_over() {
        let kinds = [
            kind::NEW_LINK,
            kind::NEW_ADDRESS,
            kind::NEW_ROUTE,
            kind::NEW_NEIGHBOUR,
            kind::NEW_CONFIGURATION,
            999,
        ];
        for kind in kinds {
            for length in 0..16 {
                assert_eq!(read(&message(kind, &vec![0; length])).len() / 2, 0);
            }
        }
        assert_eq!(read(&[0; 40]), []);
        assert_eq!(read(&[255; 40]), []);
    }
}
