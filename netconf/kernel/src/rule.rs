//! Routing rules of the plainest sort: packets from one address are routed by a table.

use std::net::IpAddr;

use crate::attributes::{self, ip, nest, number};
use crate::message::{Bytes, Object, kind};
use crate::{Request, Result, Socket};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};

/// `FRA_*` of include/uapi/linux/fib_rules.h.
mod attribute {
    pub const SOURCE: u16 = 2;
    pub const PRIORITY: u16 = 6;
    pub const TABLE: u16 = 15;
    pub const PROTOCOL: u16 = 21;
}

/// `struct fib_rule_hdr` (family, lengths of destination and source, TOS, table, two unused, action,
/// flags).
const HEADER: usize = 12;
/// `FR_ACT_TO_TBL`.
const LOOK_UP: u8 = 1;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The one source that it is for; `None` for several or any.
    pub from: Option<IpAddr>,
    /// The table that it leads to; 0 for none.
    pub table: u32,
    /// Its priority; `None` leaves it to the kernel: just before what is there (from 32765 downwards).
    pub priority: Option<u32>,
    /// Who made it (`RTPROT_*`, as for routes).
    pub protocol: u8,
    /// It leads to a table and depends on nothing but [`Rule::from`].
    pub plain: bool,
}

impl Rule {
    /// Packets from `source` are routed by `table`.
    pub fn from(source: IpAddr, table: u32, protocol: u8) -> Self {
        Self { from: Some(source), table, priority: None, protocol, plain: true }
    }
}

/// Adds a rule. Its priority is a new one unless told.
///
/// `ip -4|-6 rule add from IP lookup TABLE protocol N`
pub fn add(source: IpAddr, table: u32, protocol: u8) -> Request {
    let payload = message(source, table, None, protocol);
    let on = format!("from {source} lookup {table}");
    Request::of_bytes("add the rule", on, NLM_F_CREATE | NLM_F_EXCL, kind::NEW_RULE, payload)
}

/// Removes a rule of one source. ENOENT when there is none.
///
/// `ip -4|-6 rule del from IP lookup TABLE`
pub fn delete(source: IpAddr, rule: &Rule) -> Request {
    let payload = message(source, rule.table, rule.priority, rule.protocol);
    let on = format!("from {source} lookup {}", rule.table);
    Request::of_bytes("remove the rule", on, 0, kind::DELETE_RULE, payload)
}

fn message(source: IpAddr, table: u32, priority: Option<u32>, protocol: u8) -> Vec<u8> {
    let (family, length, bytes) = match source {
        IpAddr::V4(ip) => (libc::AF_INET, 32, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::AF_INET6, 128, ip.octets().to_vec()),
    };
    let mut payload = head(family);
    for (at, byte) in [(2, length), (7, LOOK_UP)] {
        if let Some(place) = payload.get_mut(at) {
            *place = byte;
        }
    }
    payload.extend(nest(attribute::SOURCE, &bytes));
    payload.extend(nest(attribute::TABLE, &table.to_ne_bytes()));
    if let Some(priority) = priority {
        payload.extend(nest(attribute::PRIORITY, &priority.to_ne_bytes()));
    }
    payload.extend(nest(attribute::PROTOCOL, &[protocol]));
    payload
}

fn head(family: libc::c_int) -> Vec<u8> {
    let mut head = vec![0; HEADER];
    if let Some(place) = head.first_mut() {
        *place = u8::try_from(family).unwrap_or_default();
    }
    head
}

/// All rules of a family.
///
/// `ip -4|-6 rule show`
pub fn list(socket: &Socket, ipv6: bool) -> Result<Vec<Rule>> {
    let family = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    let request = Bytes(head(family));
    let answer = socket.dump("list the rules of", "the namespace", kind::GET_RULE, &request);
    match answer {
        Ok(objects) => Ok(objects.iter().filter_map(read).collect()),
        // Without IPv6 there are none of it.
        Err(e) if e.errno() == libc::EAFNOSUPPORT || e.errno() == libc::EOPNOTSUPP => {
            Ok(Vec::new())
        }
        Err(e) => Err(e),
    }
}

fn read(object: &Object) -> Option<Rule> {
    let (head, all) = object.payload.split_at_checked(HEADER)?;
    (object.kind == kind::NEW_RULE).then_some(())?;
    let &[_, to, length, tos, small, _, _, action, ..] = head else { return None };
    let mut rule =
        Rule { from: None, table: u32::from(small), priority: None, protocol: 0, plain: false };
    let (mut source, mut more) = (None, to > 0 || tos > 0 || action != LOOK_UP);
    for (kind, value) in attributes::of(all) {
        match kind {
            attribute::SOURCE => source = ip(value),
            attribute::TABLE => rule.table = number(value)?,
            attribute::PRIORITY => rule.priority = number(value),
            attribute::PROTOCOL => rule.protocol = value.first().copied().unwrap_or_default(),
            // FRA_SUPPRESS_PREFIXLEN, which is always told: -1 for none; FRA_PAD.
            14 if number(value) == Some(u32::MAX) => {}
            18 => {}
            _ => more = true,
        }
    }
    let whole = source.is_some_and(|ip| length == if ip.is_ipv6() { 128 } else { 32 });
    rule.from = source.filter(|_| whole);
    rule.plain = whole && !more;
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_messages_are_no_rules_and_cause_no_panic() {
        let object = |payload: Vec<u8>| Object { kind: kind::NEW_RULE, payload };
        assert_eq!(read(&object(vec![])), None);
        let whole = message("10.0.0.1".parse().unwrap(), 1000, Some(7), 113);
        let rule = read(&object(whole.clone())).unwrap();
        assert!(rule.plain && rule.table == 1000 && rule.priority == Some(7), "{rule:?}");
        for end in 0..whole.len() {
            let _ = read(&object(whole[..end].to_vec()));
        }
        assert!(!read(&object(vec![2; 12])).unwrap().plain);
    }
}
