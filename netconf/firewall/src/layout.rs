//! Our two tables, and what always stands in them.
//!
//! ```text
//! table inet podwire {
//!     counter pods-… { }
//!     map addresses4 { type ipv4_addr : counter
//!         elements = { 10.1.0.5 comment "net/c1/eth0" : "pods-…" } }
//!     map addresses6 { type ipv6_addr : counter }
//!     set pods-… { type ipv4_addr; elements = { 10.1.0.5 } }
//!     set exempt4-… { type ipv4_addr; flags interval; elements = { 192.0.2.1, 10.2.0.0/16 } }
//!     set exempt6-… { type ipv6_addr; flags interval }
//!     counter exempt-… { }
//!     chain pods-… { type nat hook postrouting priority srcnat
//!         ip saddr != @pods-… return
//!         ip daddr 10.1.0.0/16 return
//!         ip daddr 224.0.0.0/4 return
//!         ip daddr @exempt4-… return
//!         counter name ip saddr map @addresses4 masquerade }
//! }
//! table bridge podwire {
//!     counter foreign { }
//!     map guarded { type ifname : counter
//!         elements = { "veth1" comment "net/c1/eth0 0a:58:…" : "foreign" } }
//!     set allowed { type ifname . ether_addr; elements = { "veth1" . 0a:58:0a:01:00:05 } }
//!     chain prerouting { type filter hook prerouting priority -300
//!         iifname . ether saddr != @allowed counter name iifname map @guarded drop }
//! }
//! ```
//!
//! A map tells whose each address and each link is. Its elements lead to counters because the
//! kernel tells how many elements lead to a counter, and so whether the last user of a group goes,
//! without a look at the others. They would do so for chains as well, but see `nft::set`. What is
//! counted is of use too: the connections masqueraded, and the frames dropped.
//!
//! What a network as a whole exempts (`exempt`) stands in sets of its own, which groups of the
//! network look in if they are told to. They are the node's part: an ADD that looks in them makes
//! them, empty, where they are missing, and neither DEL nor GC removes them, so the table stays as
//! long as they do. The counter beside them is made when they are filled, and counts nothing.
//!
//! Every message of a layout may be sent again: what is there stays, and the chains are flushed
//! before their rules are added. So any number of first ADDs may come at once.

use std::borrow::Cow;

use kernel::netfilter::{Attributes, Request};

use crate::nft::expression;
use crate::nft::{BRIDGE, Element, Holds, Hook, INET, Key, KeyType, Set, Table};
use crate::owner;

/// For masquerade.
pub(crate) const MASQUERADE: Table = Table { family: INET, name: "podwire" };
/// For anti-spoofing.
pub(crate) const ANTISPOOF: Table = Table { family: BRIDGE, name: "podwire" };

pub(crate) static ADDRESSES4: Set = addresses_in(MASQUERADE, false);
pub(crate) static ADDRESSES6: Set = addresses_in(MASQUERADE, true);
pub(crate) static GUARDED: Set = guarded_in(ANTISPOOF);
pub(crate) static ALLOWED: Set = allowed_in(ANTISPOOF);

/// What the masquerade table holds when it serves nobody, and no network's exemptions are kept in
/// it: `addresses4` and `addresses6`. Whoever makes the table makes these.
pub(crate) const MASQUERADE_ALONE: u32 = 2;
/// The chain of the table for anti-spoofing.
pub(crate) const PREROUTING: &str = "prerouting";
/// The counter that guarded links lead to: the frames that were dropped.
pub(crate) const FOREIGN: &str = "foreign";

const COMMENT: &str = "made by the podwire CNI plugins";

/// Where masquerading takes place.
pub(crate) const SOURCE_NAT: Hook =
    Hook { kind: "nat", number: libc::NF_INET_POST_ROUTING as u32, priority: 100 };
/// Before everything else that looks at a bridge's frames, as the reference plugins do it.
const BEFORE_BRIDGE: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// The map of a family's masqueraded addresses.
pub(crate) const fn addresses_in(table: Table, v6: bool) -> Set {
    let name = if v6 { "addresses6" } else { "addresses4" };
    Set { table, name: Cow::Borrowed(name), key: KeyType::address(v6), holds: Holds::Counters }
}

/// The set of a group's addresses.
pub(crate) fn members_in(table: Table, v6: bool, group: String) -> Set {
    Set { table, name: Cow::Owned(group), key: KeyType::address(v6), holds: Holds::Keys }
}

const fn guarded_in(table: Table) -> Set {
    Set { table, name: Cow::Borrowed("guarded"), key: KeyType::Link, holds: Holds::Counters }
}

const fn allowed_in(table: Table) -> Set {
    Set { table, name: Cow::Borrowed("allowed"), key: KeyType::LinkAndMac, holds: Holds::Keys }
}

/// The masquerade table without anybody in it.
pub(crate) fn masquerade(table: Table) -> Vec<Request> {
    let maps = [false, true].map(|v6| addresses_in(table, v6).create());
    std::iter::once(table.create(COMMENT)).chain(maps).collect()
}

/// The anti-spoofing table without anybody in it.
pub(crate) fn antispoof(table: Table) -> Vec<Request> {
    let comment = "frames of guarded links with another's address are dropped";
    let mut batch = vec![
        table.create(COMMENT),
        table.create_counter(FOREIGN),
        guarded_in(table).create(),
        allowed_in(table).create(),
        table.create_base_chain(PREROUTING, &BEFORE_BRIDGE, comment),
    ];
    batch.extend(filled(table, PREROUTING, &prerouting()));
    batch
}

/// The rule of [`PREROUTING`]. Honest frames are done after one look, and only what is dropped is
/// counted.
pub(crate) fn prerouting() -> Vec<Vec<Attributes>> {
    vec![vec![
        expression::input_name(),
        expression::ether_source_behind_name(),
        expression::not_in_set(&ALLOWED.name),
        expression::input_name(),
        expression::counted_in(&GUARDED.name),
        expression::verdict(expression::DROP),
    ]]
}

/// Fills a chain with rules, and with nothing else.
pub(crate) fn filled(table: Table, chain: &str, rules: &[Vec<Attributes>]) -> Vec<Request> {
    let add = rules.iter().map(|rule| table.add_rule(chain, rule));
    std::iter::once(table.flush_chain(chain)).chain(add).collect()
}

/// What goes with an element of a map: the address in its group's set, the link's own hardware
/// address.
pub(crate) fn companion(
    Element { set, key, counter, comment, .. }: &Element,
) -> Option<(Set, Key)> {
    match (key, counter) {
        (Key::Address(address), Some(group)) => {
            let set = members_in(set.table, address.is_ipv6(), group.clone());
            Some((set, key.clone()))
        }
        (Key::Link(link), _) => {
            let mac = owner::split(comment).1?;
            Some((ALLOWED.clone(), Key::LinkAndMac(link.clone(), mac)))
        }
        _ => None,
    }
}
