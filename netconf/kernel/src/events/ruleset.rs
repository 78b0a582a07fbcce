//! A change of the ruleset of nf_tables, as far as it matters whom it concerns.

use netlink_packet_core::NetlinkBuffer;

use super::Notification;
use crate::attributes;

/// A part of the ruleset that came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// The family of its table (`NFPROTO_*`).
    pub family: u8,
    /// The name of its table.
    pub table: String,
    /// What it is.
    pub part: Part,
    /// It is gone.
    pub gone: bool,
}

/// A part of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The table itself.
    Table,
    /// The set of this name.
    Set(String),
    /// Elements of the set of this name.
    Elements(String),
    /// The counter, quota or the like of this name.
    Object(String),
}

/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// `NFNL_SUBSYS_NFTABLES`, the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;
/// In all of these kinds of messages the table's name, and that of the set or the object.
const TABLE: u16 = 1;
const NAME: u16 = 2;

/// `enum nf_tables_msg_types` (include/uapi/linux/netfilter/nf_tables.h).
mod kind {
    pub const NEW_TABLE: u16 = 0;
    pub const DELETE_TABLE: u16 = 2;
    pub const NEW_SET: u16 = 9;
    pub const DELETE_SET: u16 = 11;
    pub const NEW_ELEMENTS: u16 = 12;
    pub const DELETE_ELEMENTS: u16 = 14;
    pub const NEW_OBJECT: u16 = 18;
    pub const DELETE_OBJECT: u16 = 20;
}

impl Ruleset {
    /// Reads what a datagram holds; ends where it is malformed, passes over what is something else.
    pub(super) fn read_all(datagram: &[u8], told: &mut dyn FnMut(Notification)) {
        let mut rest = datagram;
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            if let Some(one) = Self::read(message.message_type(), message.payload()) {
                told(Notification::Ruleset(one));
            }
            let length = message.length() as usize;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    fn read(kind: u16, payload: &[u8]) -> Option<Self> {
        if kind >> 8 != SUBSYSTEM {
            return None;
        }
        let (header, rest) = payload.split_at_checked(HEADER)?;
        let find = |wanted: u16| attributes::of(rest).find(|(kind, _)| *kind == wanted);
        let name = || find(NAME).map(|(_, name)| attributes::text(name));
        let (part, gone) = match kind & 0xff {
            kind::NEW_TABLE => (Part::Table, false),
            kind::DELETE_TABLE => (Part::Table, true),
            kind::NEW_SET => (Part::Set(name()?), false),
            kind::DELETE_SET => (Part::Set(name()?), true),
            kind::NEW_ELEMENTS => (Part::Elements(name()?), false),
            kind::DELETE_ELEMENTS => (Part::Elements(name()?), true),
            kind::NEW_OBJECT => (Part::Object(name()?), false),
            kind::DELETE_OBJECT => (Part::Object(name()?), true),
            _ => return None,
        };
        let (_, table) = find(TABLE)?;
        Some(Self { family: *header.first()?, table: attributes::text(table), part, gone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datagram: &[u8]) -> Vec<Notification> {
        let mut all = Vec::new();
        Ruleset::read_all(datagram, &mut |one| all.push(one));
        all
    }

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend((SUBSYSTEM << 8 | kind).to_ne_bytes());
        message.extend([0; 10]);
        message.extend(payload);
        message
    }

    #[test]
    fn what_changed_is_told_apart() {
        let table = [1, 0, 0, 0, 8, 0, 1, 0, b'm', b'i', b'n', 0];
        let mut set = table.to_vec();
        set.extend([6, 0, 2, 0, b's', 0, 0, 0]);
        let mut datagram = message(kind::DELETE_ELEMENTS, &set);
        datagram.extend(message(kind::DELETE_TABLE, &table));
        // The end of a transaction names no table.
        datagram.extend(message(15, &[0, 0, 0, 7, 8, 0, 1, 0, 0, 0, 0, 9]));
        let of = |part| {
            Notification::Ruleset(Ruleset { family: 1, table: "min".to_owned(), part, gone: true })
        };
        assert_eq!(read(&datagram), [of(Part::Elements("s".to_owned())), of(Part::Table)]);
        assert_eq!(read(&message(kind::DELETE_SET, &table)), []);
    }

    #[test]
    fn malformed_notifications_are_passed_over() {
        for kind in [kind::NEW_TABLE, kind::DELETE_SET, kind::NEW_ELEMENTS, 99] {
            for length in 0..16 {
                assert_eq!(read(&message(kind, &vec![0; length])), []);
            }
        }
        assert_eq!(read(&[0; 40]), []);
        assert_eq!(read(&[255; 40]), []);
    }
}
