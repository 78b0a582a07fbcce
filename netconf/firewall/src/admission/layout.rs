//! Our tables for admission, and what always stands in them.
//!
//! ```text
//! table inet podwire-admission {
//!     counter admitted4 { }
//!     map admitted4 { type ipv4_addr : counter
//!         elements = { 10.1.0.5 comment "net/c1/eth0" : "admitted4" } }
//!     map admitted6 { type ipv6_addr : counter }
//!     map zoned4 { type ipv4_addr : counter }
//!     map zoned6 { type ipv6_addr : counter }
//!     counter same-bridge-cni0 { }
//!     map members { type ifname : counter
//!         elements = { "0f3a…" comment "net/c1/eth0 cni0" : "same-bridge-cni0" } }
//!     set closed { type ifname; elements = { "cni0" } }
//!     set within { type ifname . ifname; elements = { "cni0" . "cni0" } }
//!     set isolated { type ifname . ifname }
//!     chain forward { type filter hook forward priority -10
//!         iifname @closed oifname @closed iifname . oifname != @within counter drop
//!         iifname . oifname @isolated counter drop
//!         meta mark set meta mark & 0xffffefff
//!         counter name ip saddr map @admitted4 meta mark set meta mark | 0x1000
//!         ct state established,related counter name ip daddr map @admitted4 meta mark set …
//!         … and the same for IPv6 }
//!     chain forwarded { type filter hook forward priority 40
//!         meta mark & 0x1000 != 0 meta mark set meta mark & 0xffffefff }
//! }
//! ```
//!
//! The mark is ours for the time between the two chains alone, in which the filters of iptables
//! (priority 0) look at it: what comes with the bit set is not believed, and nothing leaves with
//! it.
//!
//! `zoned4` and `zoned6` tell whose the sources of firewalld's zones are, which it does not keep
//! itself; no rule looks in them. `isolated` is for what is routed from a bridge back to it; its
//! ports are kept apart by the bridge itself (`bridge link set … isolated on`). `members` tells which attachments want a bridge's policy: its keys
//! are hashes of their owners. Elements lead to counters because the kernel tells how many do, and
//! so whether the last user goes.

use std::borrow::Cow;

use cni::IfName;
use kernel::netfilter::{Attributes, Request};

use super::wanted::Ingress;
use crate::layout::filled;
use crate::nft::expression::{self, Address};
use crate::nft::{Holds, Hook, INET, Key, KeyType, Set, Table};
use crate::owner;
use crate::part::Part;

/// The bit of a packet's mark that tells an admitted one: bit 12. The port maps' is 13, and
/// Kubernetes' are 14 and 15.
pub const MARK: u32 = 0x1000;

pub(super) const ADMISSION: Table = Table { family: INET, name: "podwire-admission" };

const FORWARD: &str = "forward";
const FORWARDED: &str = "forwarded";

static ADMITTED4: Set = map(ADMISSION, "admitted4", KeyType::Ipv4);
static ADMITTED6: Set = map(ADMISSION, "admitted6", KeyType::Ipv6);
static ZONED4: Set = map(ADMISSION, "zoned4", KeyType::Ipv4);
static ZONED6: Set = map(ADMISSION, "zoned6", KeyType::Ipv6);
pub(super) static MEMBERS: Set = map(ADMISSION, "members", KeyType::Link);
pub(super) static CLOSED: Set = set(ADMISSION, "closed", KeyType::Link);
pub(super) static WITHIN: Set = set(ADMISSION, "within", KeyType::LinkPair);
pub(super) static ISOLATED: Set = set(ADMISSION, "isolated", KeyType::LinkPair);

/// What [`ADMISSION`] holds when it serves nobody: eight sets and two chains.
pub(super) const ALONE: u32 = 10;

const COMMENT: &str = "made by the podwire CNI plugins";
const MARKING: Hook = Hook { kind: "filter", number: libc::NF_INET_FORWARD as u32, priority: -10 };
const UNMARKING: Hook = Hook { kind: "filter", number: libc::NF_INET_FORWARD as u32, priority: 40 };

const fn map(table: Table, name: &'static str, key: KeyType) -> Set {
    Set { table, name: Cow::Borrowed(name), key, holds: Holds::Counters }
}

const fn set(table: Table, name: &'static str, key: KeyType) -> Set {
    Set { table, name: Cow::Borrowed(name), key, holds: Holds::Keys }
}

/// The map of a family's admitted addresses.
pub(super) fn admitted(v6: bool) -> &'static Set {
    if v6 { &ADMITTED6 } else { &ADMITTED4 }
}

/// The map of a family's sources in firewalld's zones.
pub(super) fn zoned(v6: bool) -> &'static Set {
    if v6 { &ZONED6 } else { &ZONED4 }
}

/// The counter that admitted addresses of a family lead to.
pub(super) fn admitted_counter(v6: bool) -> &'static str {
    if v6 { "admitted6" } else { "admitted4" }
}

const ZONE: &str = "zone-";

/// The counter of the sources in a zone.
pub(super) fn zone_counter(zone: &str) -> String {
    format!("{ZONE}{zone}")
}

/// The zone that a counter is of.
pub(super) fn zone_of(counter: &str) -> Option<&str> {
    counter.strip_prefix(ZONE)
}

/// The counter of the attachments that want a policy for a bridge.
pub(super) fn policy_counter(ingress: Ingress, bridge: &IfName) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let bridge = bridge.as_str();
    let word = ingress.as_str();
    if bridge.chars().all(plain) {
        format!("{word}-{bridge}")
    } else {
        format!("{word}-{}", owner::hash(bridge, 16))
    }
}

/// The key of an attachment among the members.
pub(super) fn member_key(owner: &str) -> Key {
    let digits = owner::hash(owner, 15);
    // Fifteen hexadecimal digits are a name that a link can have.
    digits.parse().map_or_else(|_| unnamed(), Key::Link)
}

fn unnamed() -> Key {
    Key::Address([0; 4].into())
}

/// The comment of a member: its owner and its bridge.
pub(super) fn member_comment(owner: &str, bridge: &IfName) -> String {
    format!("{owner} {bridge}")
}

/// The owner in a comment.
pub(super) fn owner_in(comment: &str) -> &str {
    comment.split_once(' ').map_or(comment, |(owner, _)| owner)
}

/// The bridge in a member's comment.
pub(super) fn bridge_in(comment: &str) -> Option<IfName> {
    comment.split_once(' ')?.1.parse().ok()
}

/// The parts that every attachment depends on.
pub(super) fn parts() -> Vec<Part<'static>> {
    vec![
        Part {
            table: ADMISSION,
            chain: FORWARD.to_owned(),
            rules: forward(),
            create: Box::new(|| admission(ADMISSION)),
        },
        Part {
            table: ADMISSION,
            chain: FORWARDED.to_owned(),
            rules: forwarded(),
            create: Box::new(|| admission(ADMISSION)),
        },
    ]
}

/// The table without anybody in it. May be sent again.
pub(super) fn admission(table: Table) -> Vec<Request> {
    let all = [&ADMITTED4, &ADMITTED6, &ZONED4, &ZONED6, &MEMBERS, &CLOSED, &WITHIN, &ISOLATED];
    let mut batch = vec![table.create(COMMENT)];
    batch.extend(all.map(|set| Set { table, ..set.clone() }.create()));
    batch.push(table.create_base_chain(FORWARD, &MARKING, "marks what is admitted"));
    batch.extend(filled(table, FORWARD, &forward()));
    batch.push(table.create_base_chain(FORWARDED, &UNMARKING, "takes the mark off again"));
    batch.extend(filled(table, FORWARDED, &forwarded()));
    batch
}

fn forward() -> Vec<Vec<Attributes>> {
    let drop = || [expression::counter(), expression::verdict(expression::DROP)];
    let mut foreign = vec![
        expression::input_name(),
        expression::in_set(&CLOSED.name),
        expression::output_name(),
        expression::in_set(&CLOSED.name),
        expression::input_name(),
        expression::output_name_behind_name(),
        expression::not_in_set(&WITHIN.name),
    ];
    foreign.extend(drop());
    let mut neighbours = vec![
        expression::input_name(),
        expression::output_name_behind_name(),
        expression::in_set(&ISOLATED.name),
    ];
    neighbours.extend(drop());
    let mut rules = vec![foreign, neighbours, expression::clears(MARK).to_vec()];
    for v6 in [false, true] {
        let map = &admitted(v6).name;
        for answers in [false, true] {
            let mut rule = Vec::new();
            let mut which = Address::Source;
            if answers {
                rule.extend(expression::connection::established());
                which = Address::Destination;
            }
            // Where nft puts it, so that a ruleset that nft has loaded again is the same.
            rule.extend(expression::of_family(v6));
            rule.extend([expression::address(v6, which), expression::counted_in(map)]);
            rule.extend(expression::sets(MARK));
            rules.push(rule);
        }
    }
    rules
}

fn forwarded() -> Vec<Vec<Attributes>> {
    vec![expression::is_marked(MARK).into_iter().chain(expression::clears(MARK)).collect()]
}
