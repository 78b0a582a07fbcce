//! Our two tables, and what always stands in them.
//!
//! ```text
//! table inet podwire {
//!     map addresses4 { type ipv4_addr : verdict; elements = { 10.1.0.5 : jump pods-… } }
//!     map addresses6 { type ipv6_addr : verdict }
//!     chain postrouting { type nat hook postrouting priority srcnat;
//!         ip saddr vmap @addresses4
//!         ip6 saddr vmap @addresses6 }
//!     chain pods-… { ip daddr 10.1.0.0/16 return; ip daddr 224.0.0.0/4 return; masquerade }
//! }
//! table bridge podwire {
//!     map guarded { type ifname : verdict; elements = { "veth1" : jump guard } }
//!     set allowed { type ifname . ether_addr; elements = { "veth1" . 0a:58:0a:01:00:05 } }
//!     chain prerouting { type filter hook prerouting priority -300; iifname vmap @guarded }
//!     chain guard { iifname . ether saddr @allowed return; drop }
//! }
//! ```
//!
//! Every message of a layout may be sent again: what is there stays, and the chains are flushed
//! before their rules are added. So any number of first ADDs may come at once.

use kernel::netfilter::{Attributes, Request};

use crate::nft::expression::{self, Address};
use crate::nft::{BRIDGE, Hook, INET, KeyType, Set, Table};

/// For masquerade.
pub(crate) const MASQUERADE: Table = Table { family: INET, name: "podwire" };
/// For anti-spoofing.
pub(crate) const ANTISPOOF: Table = Table { family: BRIDGE, name: "podwire" };

pub(crate) static ADDRESSES4: Set =
    Set { table: MASQUERADE, name: "addresses4", key: KeyType::Ipv4, map: true };
pub(crate) static ADDRESSES6: Set =
    Set { table: MASQUERADE, name: "addresses6", key: KeyType::Ipv6, map: true };
pub(crate) static GUARDED: Set =
    Set { table: ANTISPOOF, name: "guarded", key: KeyType::Link, map: true };
pub(crate) static ALLOWED: Set =
    Set { table: ANTISPOOF, name: "allowed", key: KeyType::LinkAndMac, map: false };

/// What a table is populated with when it serves nobody: `addresses4`, `addresses6` and
/// `postrouting`.
pub(crate) const MASQUERADE_ALONE: u32 = 3;
/// The base chains.
pub(crate) const POSTROUTING: &str = "postrouting";
pub(crate) const PREROUTING: &str = "prerouting";
/// The chain that guarded links jump to.
pub(crate) const GUARD: &str = "guard";

const COMMENT: &str = "made by the podwire CNI plugins";

/// Where masquerading takes place.
pub(crate) const SOURCE_NAT: Hook =
    Hook { kind: "nat", number: libc::NF_INET_POST_ROUTING as u32, priority: 100 };
/// Before everything else that looks at a bridge's frames, as the reference plugins do it.
pub(crate) const BEFORE_BRIDGE: Hook = Hook { kind: "filter", number: 0, priority: -300 };

/// The masquerade table without anybody in it.
pub(crate) fn masquerade() -> Vec<Request> {
    let table = MASQUERADE;
    let mut batch = vec![
        table.create(COMMENT),
        ADDRESSES4.create(1),
        ADDRESSES6.create(2),
        table.create_base_chain(POSTROUTING, &SOURCE_NAT),
    ];
    batch.extend(filled(table, POSTROUTING, &postrouting()));
    batch
}

/// The anti-spoofing table without anybody in it.
pub(crate) fn antispoof() -> Vec<Request> {
    let table = ANTISPOOF;
    let mut batch = vec![
        table.create(COMMENT),
        GUARDED.create(3),
        ALLOWED.create(4),
        table.create_chain(GUARD, "frames of guarded links with another's address are dropped"),
    ];
    batch.extend(filled(table, GUARD, &guard()));
    batch.push(table.create_base_chain(PREROUTING, &BEFORE_BRIDGE));
    batch.extend(filled(table, PREROUTING, &prerouting()));
    batch
}

/// The rules of [`POSTROUTING`].
pub(crate) fn postrouting() -> Vec<Vec<Attributes>> {
    [(false, &ADDRESSES4), (true, &ADDRESSES6)]
        .into_iter()
        .map(|(v6, map)| {
            let mut rule = Vec::from(expression::of_family(v6));
            rule.push(expression::address(v6, Address::Source));
            rule.push(expression::verdict_of(map.name));
            rule
        })
        .collect()
}

/// The rule of [`PREROUTING`].
pub(crate) fn prerouting() -> Vec<Vec<Attributes>> {
    vec![vec![expression::input_name(), expression::verdict_of(GUARDED.name)]]
}

/// The rules of [`GUARD`].
pub(crate) fn guard() -> Vec<Vec<Attributes>> {
    vec![
        vec![
            expression::input_name(),
            expression::ether_source_behind_name(),
            expression::in_set(ALLOWED.name),
            expression::verdict(expression::RETURN),
        ],
        vec![expression::verdict(expression::DROP)],
    ]
}

/// Fills a chain with rules, and with nothing else.
pub(crate) fn filled(table: Table, chain: &str, rules: &[Vec<Attributes>]) -> Vec<Request> {
    let add = rules.iter().map(|rule| table.add_rule(chain, rule));
    std::iter::once(table.flush_chain(chain)).chain(add).collect()
}
