//! Our table for ports, and what always stands in it.
//!
//! ```text
//! table inet podwire-ports {
//!     counter attachments { }
//!     counter pods-… { }
//!     counter tcp4-53 { }
//!     map attachments { type ifname : counter
//!         elements = { "4f1c…" comment "net/c1/eth0 4" : "attachments" } }
//!     map conditional { type ifname : counter }
//!     map ports4 { type inet_proto . inet_service : ipv4_addr . inet_service
//!         elements = { tcp . 8080 comment "net/c1/eth0" : 10.1.0.5 . 80 } }
//!     map addresses4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
//!         elements = { 127.0.0.1 . tcp . 53 comment "net/c1/eth0" : 10.1.0.5 . 53 } }
//!     map specific4 { type ipv4_addr . inet_proto . inet_service : counter
//!         elements = { 127.0.0.1 . tcp . 53 comment "net/c1/eth0" : "tcp4-53" } }
//!     map pods4 { type ipv4_addr : counter
//!         elements = { 10.1.0.5 comment "net/c1/eth0" : "pods-…" } }
//!     set pods-… { type ipv4_addr; elements = { 10.1.0.5 } }
//!     # ports6, addresses6, specific6, pods6 likewise
//!     chain prerouting { type nat hook prerouting priority dstnat
//!         fib daddr type != local return
//!         ip6 daddr ::1 return
//!         dnat ip to ip daddr . meta l4proto . th dport map @addresses4
//!         meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports4
//!         … the same of IPv6 }
//!     chain output { type nat hook output priority dstnat; … the same rules }
//!     chain loopback { type filter hook input priority filter
//!         ip daddr 127.0.0.0/8 iifname != "lo" ct state new ct status ! dnat drop }
//!     chain pods-… { type nat hook postrouting priority srcnat
//!         ct status dnat ip daddr @pods-… ip saddr 10.1.0.0/24 masquerade
//!         ct status dnat ip daddr @pods-… ip saddr 127.0.0.0/8 masquerade }
//! }
//! ```
//!
//! `attachments` tells whether an attachment has anything here, and of how many elements, by a
//! digest of its name; so DEL knows by one look whether its configuration still names all of them.
//! `specific` holds what `addresses` does once more, leading to a counter for each port: whoever
//! wants the port at every address sees by that counter's users that somebody has it at one.
//!
//! Mappings on conditions are in maps of their own, which chains before these look into, and those
//! that another interface of the container has (see `later`) in ones that chains after these do.
//!
//! Counters are there for their users to be counted (see `crate::layout`), and count nothing. What
//! they are named after goes with the last user, and with the last attachment the table.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use cni::IfName;
use ipnetwork::{IpNetwork, Ipv4Network};
use kernel::netfilter::{Attributes, Request};

use crate::layout::filled;
use crate::nft::expression::condition::{self, Way};
use crate::nft::expression::{self, connection, translation};
use crate::nft::{Holds, Hook, INET, Key, KeyType, Set, Table};
use crate::owner;

/// For ports.
pub(super) const PORTS: Table = Table { family: INET, name: "podwire-ports" };
/// The chain that keeps loopback addresses to the machine.
const LOOPBACK: &str = "loopback";
/// The counter of all attachments.
pub(super) const EVERYBODY: &str = "attachments";

const COMMENT: &str = "made by the podwire CNI plugin portmap";

/// Before iptables or anybody else decides on a connection's destination; -100 is where they do.
const DESTINATION: i32 = -100;
/// The ways by which connections come in.
pub(super) const WAYS: [(&str, u32); 2] =
    [("prerouting", libc::NF_INET_PRE_ROUTING as u32), ("output", libc::NF_INET_LOCAL_OUT as u32)];

/// Where a destination is decided on: before the others of ours, or so many steps `after`.
pub(super) const fn hook(number: u32, after: i32) -> Hook {
    Hook { kind: "nat", number, priority: DESTINATION.saturating_add(after) }
}

pub(super) const fn attachments(table: Table) -> Set {
    let name = Cow::Borrowed("attachments");
    Set { table, name, key: KeyType::Link, holds: Holds::Counters }
}

pub(super) const fn conditional(table: Table) -> Set {
    let name = Cow::Borrowed("conditional");
    Set { table, name, key: KeyType::Link, holds: Holds::Counters }
}

pub(super) const fn ports(table: Table, v6: bool) -> Set {
    let name = Cow::Borrowed(if v6 { "ports6" } else { "ports4" });
    Set { table, name, key: KeyType::Port, holds: Holds::Endpoints { v6 } }
}

pub(super) const fn addresses(table: Table, v6: bool) -> Set {
    let name = Cow::Borrowed(if v6 { "addresses6" } else { "addresses4" });
    let key = KeyType::address_and_port(v6);
    Set { table, name, key, holds: Holds::Endpoints { v6 } }
}

pub(super) const fn specific(table: Table, v6: bool) -> Set {
    let name = Cow::Borrowed(if v6 { "specific6" } else { "specific4" });
    Set { table, name, key: KeyType::address_and_port(v6), holds: Holds::Counters }
}

pub(super) const fn pods(table: Table, v6: bool) -> Set {
    let name = Cow::Borrowed(if v6 { "pods6" } else { "pods4" });
    Set { table, name, key: KeyType::address(v6), holds: Holds::Counters }
}

/// The maps of a family.
pub(super) fn of_family(table: Table, v6: bool) -> [Set; 4] {
    [ports(table, v6), addresses(table, v6), specific(table, v6), pods(table, v6)]
}

/// A name by which an attachment is found: a digest of its owner's name, in the form of a link's.
pub(super) fn digest(owner: &str) -> Option<Key> {
    // Fifteen hexadecimal digits are a link's name; nothing can be wrong with it.
    owner::hash(owner, 15).parse::<IfName>().ok().map(Key::Link)
}

/// The table without anybody in it.
pub(super) fn table(table: Table) -> Vec<Request> {
    let mut batch = vec![table.create(COMMENT), table.create_counter(EVERYBODY)];
    batch.extend([attachments(table).create(), conditional(table).create()]);
    batch.extend([false, true].iter().flat_map(|v6| of_family(table, *v6)).map(|set| set.create()));
    for (chain, hook, comment, rules) in chains() {
        batch.push(table.create_base_chain(chain, &hook, comment));
        batch.extend(filled(table, chain, &rules));
    }
    batch
}

/// The chains that always stand: name, hook, comment, rules.
pub(super) fn chains() -> Vec<(&'static str, Hook, &'static str, Vec<Vec<Attributes>>)> {
    let comment = "what is for a port of this machine that leads into a container";
    let ways = WAYS.map(|(chain, number)| (chain, hook(number, 0), comment, rules()));
    let input = Hook { kind: "filter", number: libc::NF_INET_LOCAL_IN as u32, priority: 0 };
    let comment = "loopback addresses are for this machine alone";
    Vec::from(ways).into_iter().chain([(LOOPBACK, input, comment, vec![strangers()])]).collect()
}

/// Whoever asks for a loopback address from without is refused. The kernel does so of itself, but
/// not on links with `route_localnet`, which answers to our own connections need (CVE-2020-8558).
fn strangers() -> Vec<Attributes> {
    let loopback = Ipv4Network::new([127, 0, 0, 0].into(), 8).ok().map(IpNetwork::V4);
    let mut rule: Vec<_> = loopback.into_iter().flat_map(expression::destination_in).collect();
    rule.extend(condition::link(Way::In, "lo", true));
    rule.extend(connection::is_new());
    rule.extend(connection::was_not_translated());
    rule.push(expression::verdict(expression::DROP));
    rule
}

/// The rules of the chains by which connections come in. One address goes before all.
pub(super) fn rules() -> Vec<Vec<Attributes>> {
    let mut rules = Vec::from(others());
    for v6 in [false, true] {
        let [ports, addresses, ..] = of_family(PORTS, v6);
        rules.extend(translations(v6, &[], &addresses.name, &ports.name));
    }
    rules
}

/// What is not for this machine is left alone, and so is what is for `::1`, which could not leave
/// it: who asks for that shall be refused at once, and not in vain wait for an answer.
pub(super) fn others() -> [Vec<Attributes>; 2] {
    let loopback = IpAddr::V6(Ipv6Addr::LOCALHOST).into();
    [Vec::from(translation::is_for_others()), expression::destination_in(loopback)].map(
        |mut rule| {
            rule.push(expression::verdict(expression::RETURN));
            rule
        },
    )
}

/// The rules that look in two maps, on a condition.
pub(super) fn translations(
    v6: bool,
    condition: &[Attributes],
    addresses: &str,
    ports: &str,
) -> [Vec<Attributes>; 2] {
    let rule = |translation: Vec<Attributes>| {
        let family = expression::of_family(v6).into_iter();
        family.chain(condition.iter().cloned()).chain(translation).collect()
    };
    let by_address = translation::by_address_and_port(v6, addresses);
    [rule(by_address), rule(translation::by_port(v6, ports))]
}
