//! The expressions that rules are made of, and comparing a rule with what the kernel lists.

pub(crate) mod condition;
pub(crate) mod connection;
mod forwarding;
pub(crate) mod translation;
mod xtables;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use kernel::netfilter::{Attributes, Reader};

use super::{IPV4, IPV6, ITEM};
pub(crate) use forwarding::{
    bears, clears, counter, is_marked, output_name, output_name_behind_name, sets,
};
pub(crate) use xtables::{comment_of, commented, jump, marked};

/// Verdicts: `NF_*` of netfilter and `NFT_*` of nf_tables, which are negative.
pub(crate) const ACCEPT: u32 = 1;
pub(crate) const DROP: u32 = 0;
const JUMP: u32 = 0xffff_fffd;
const GOTO: u32 = 0xffff_fffc;
pub(crate) const RETURN: u32 = 0xffff_fffb;

/// `NFT_REG_VERDICT`, and the first two of the 16-byte registers.
const TO_VERDICT: u32 = 0;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;

const NAME: u16 = 1;
const DATA: u16 = 2;
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// `NFT_META_*`
const MARK: u32 = 3;
const INPUT_NAME: u32 = 6;
const OUTPUT_NAME: u32 = 7;
const FAMILY: u32 = 15;

/// Where in a packet: `NFT_PAYLOAD_*_HEADER`.
const LINK_HEADER: u32 = 0;
const NETWORK_HEADER: u32 = 1;

/// An address in the network header.
#[derive(Clone, Copy)]
pub(crate) enum Address {
    Source,
    Destination,
}

/// `meta nfproto ipv4` or `ipv6`: nothing for the other family goes on. It also tells nft how to
/// print the addresses that follow.
pub(crate) fn of_family(v6: bool) -> [Attributes; 2] {
    [meta(FAMILY), equal(&[if v6 { IPV6 } else { IPV4 }])]
}

/// Loads an address of the packet.
pub(crate) fn address(v6: bool, which: Address) -> Attributes {
    address_start(v6, which, length(v6))
}

/// Loads the first bytes of an address of the packet.
fn address_start(v6: bool, which: Address, bytes: u8) -> Attributes {
    let offset = match (v6, which) {
        (false, Address::Source) => 12,
        (false, Address::Destination) => 16,
        (true, Address::Source) => 8,
        (true, Address::Destination) => 24,
    };
    payload(REGISTER_1, NETWORK_HEADER, offset, bytes.into())
}

/// The length of an address in bytes.
fn length(v6: bool) -> u8 {
    if v6 { 16 } else { 4 }
}

/// `ip daddr NETWORK`, compiled as nft does it, so that a ruleset that nft listed and loaded again
/// is the same: of a prefix of whole bytes these alone are loaded and compared, any other prefix
/// is masked.
pub(crate) fn destination_in(network: IpNetwork) -> Vec<Attributes> {
    let mut rule = Vec::from(of_family(network.is_ipv6()));
    rule.extend(within(Address::Destination, network));
    rule
}

/// The same for either address, where the family is known.
pub(crate) fn within(which: Address, network: IpNetwork) -> Vec<Attributes> {
    let mut rule = loaded(which, network);
    rule.push(equal(&compared(network)));
    rule
}

/// The part of an address that tells whether it is in `network`, loaded.
fn loaded(which: Address, network: IpNetwork) -> Vec<Attributes> {
    let (v6, prefix) = (network.is_ipv6(), network.prefix());
    if is_of_bytes(prefix) {
        return vec![address_start(v6, which, prefix / 8)];
    }
    vec![address(v6, which), masked(&bytes(network.mask()))]
}

/// What it is compared with.
fn compared(network: IpNetwork) -> Vec<u8> {
    let mut compared = bytes(network.network());
    if is_of_bytes(network.prefix()) {
        compared.truncate((network.prefix() / 8).into());
    }
    compared
}

fn is_of_bytes(prefix: u8) -> bool {
    prefix > 0 && prefix.is_multiple_of(8)
}

/// `iifname`, loaded.
pub(crate) fn input_name() -> Attributes {
    meta(INPUT_NAME)
}

/// `ether saddr`, loaded behind the name of [`input_name`] as the second part of a key.
pub(crate) fn ether_source_behind_name() -> Attributes {
    payload(REGISTER_2, LINK_HEADER, 6, 6)
}

/// `@set`: only what is in it goes on.
pub(crate) fn in_set(set: &str) -> Attributes {
    lookup(set, 0)
}

/// `!= @set`: nothing that is in it goes on.
pub(crate) fn not_in_set(set: &str) -> Attributes {
    const INVERTED: u32 = 1;
    lookup(set, INVERTED)
}

/// `counter name ... map @map`: nothing that is not in it goes on, what is in it is counted.
pub(crate) fn counted_in(map: &str) -> Attributes {
    named("objref", &Attributes::new().with_u32(3, REGISTER_1).with_text(4, map))
}

/// `drop`, `return`, ...
pub(crate) fn verdict(code: u32) -> Attributes {
    const REGISTER: u16 = 1;
    const IMMEDIATE: u16 = 2;
    named(
        "immediate",
        &Attributes::new().with_u32(REGISTER, TO_VERDICT).with_nest(
            IMMEDIATE,
            &Attributes::new().with_nest(VERDICT, &Attributes::new().with_u32(VERDICT_CODE, code)),
        ),
    )
}

/// `masquerade`
pub(crate) fn masquerade() -> Attributes {
    named("masq", &Attributes::new())
}

/// The chain that an immediate verdict leads to, if it does.
fn chain_of<'a>(data: &Reader<'a>) -> Option<&'a str> {
    let verdict = data.nest(VERDICT);
    match verdict.number(VERDICT_CODE)? {
        JUMP | GOTO => verdict.text(VERDICT_CHAIN),
        _ => None,
    }
}

/// Bytes as data.
pub(super) fn value(bytes: &[u8]) -> Attributes {
    Attributes::new().with(VALUE, bytes)
}

/// The bytes in data.
pub(super) fn value_of<'a>(data: &Reader<'a>) -> Option<&'a [u8]> {
    data.find(VALUE)
}

/// True when one of the listed expressions jumps or goes to `chain`.
pub(super) fn leads_to(expressions: &[u8], chain: &str) -> bool {
    target(expressions) == Some(chain)
}

/// The chain that the listed expressions jump or go to, if they do.
pub(super) fn target(expressions: &[u8]) -> Option<&str> {
    const IMMEDIATE: u16 = 2;
    Reader::new(expressions).find_map(|(_, expression)| {
        let expression = Reader::new(expression);
        let is = expression.text(NAME) == Some("immediate");
        is.then(|| chain_of(&expression.nest(DATA).nest(IMMEDIATE))).flatten()
    })
}

/// True when the listed expressions hold the verdict `return`.
pub(super) fn returns(expressions: &[u8]) -> bool {
    const IMMEDIATE: u16 = 2;
    Reader::new(expressions).any(|(_, expression)| {
        let expression = Reader::new(expression);
        let verdict = expression.nest(DATA).nest(IMMEDIATE).nest(VERDICT);
        expression.text(NAME) == Some("immediate") && verdict.number(VERDICT_CODE) == Some(RETURN)
    })
}

/// True when one of the listed expressions compares what was loaded with `bytes`.
pub(crate) fn compares_with(expressions: &[u8], bytes: &[u8]) -> bool {
    const COMPARED: u16 = 3;
    Reader::new(expressions).any(|(_, expression)| {
        let expression = Reader::new(expression);
        expression.text(NAME) == Some("cmp")
            && value_of(&expression.nest(DATA).nest(COMPARED)) == Some(bytes)
    })
}

/// True when one of the listed expressions loads `bytes`, as an address to send on to.
pub(crate) fn loads(expressions: &[u8], bytes: &[u8]) -> bool {
    const IMMEDIATE: u16 = 2;
    Reader::new(expressions).any(|(_, expression)| {
        let expression = Reader::new(expression);
        expression.text(NAME) == Some("immediate")
            && value_of(&expression.nest(DATA).nest(IMMEDIATE)) == Some(bytes)
    })
}

/// True when the listed expressions are those of `rule`: the same ones in the same order, each
/// with every attribute that we give it. What a kernel adds of itself does not count.
pub(crate) fn is_rule(expressions: &[u8], rule: &[Attributes]) -> bool {
    let listed: Vec<_> = Reader::new(expressions).filter(|(kind, _)| *kind == ITEM).collect();
    listed.len() == rule.len()
        && listed.iter().zip(rule).all(|((_, listed), ours)| {
            ours.bytes().is_some_and(|ours| contains(&Reader::new(listed), Reader::new(ours)))
        })
}

/// True when all of `wanted` is in `listed`. The numbers within one expression differ, but for
/// those of lists, and there are none in ours.
fn contains(listed: &Reader<'_>, mut wanted: Reader<'_>) -> bool {
    while let Some((kind, value)) = wanted.next() {
        let same = match listed.find(kind) {
            Some(found) if wanted.was_nested() => contains(&Reader::new(found), Reader::new(value)),
            Some(found) => found == value,
            None => wanted.was_nested() && value.is_empty(),
        };
        if !same {
            return false;
        }
    }
    true
}

fn lookup(set: &str, flags: u32) -> Attributes {
    let attributes = Attributes::new().with_text(1, set).with_u32(2, REGISTER_1);
    named("lookup", &attributes.with_u32(5, flags))
}

fn meta(key: u32) -> Attributes {
    meta_into(REGISTER_1, key)
}

fn meta_into(register: u32, key: u32) -> Attributes {
    const REGISTER: u16 = 1;
    const KEY: u16 = 2;
    named("meta", &Attributes::new().with_u32(REGISTER, register).with_u32(KEY, key))
}

fn payload(register: u32, base: u32, offset: u32, length: u32) -> Attributes {
    named(
        "payload",
        &Attributes::new()
            .with_u32(1, register)
            .with_u32(2, base)
            .with_u32(3, offset)
            .with_u32(4, length),
    )
}

fn equal(bytes: &[u8]) -> Attributes {
    const EQUAL: u32 = 0;
    compare(EQUAL, bytes)
}

fn unequal(bytes: &[u8]) -> Attributes {
    const UNEQUAL: u32 = 1;
    compare(UNEQUAL, bytes)
}

fn compare(how: u32, bytes: &[u8]) -> Attributes {
    named(
        "cmp",
        &Attributes::new().with_u32(1, REGISTER_1).with_u32(2, how).with_nest(3, &value(bytes)),
    )
}

/// `(x & mask) ^ 0`
fn masked(mask: &[u8]) -> Attributes {
    bitwise(mask, &vec![0; mask.len()])
}

/// `(x & mask) ^ xor`
fn bitwise(mask: &[u8], xor: &[u8]) -> Attributes {
    let length = u32::try_from(mask.len()).unwrap_or_default();
    named(
        "bitwise",
        &Attributes::new()
            .with_u32(1, REGISTER_1)
            .with_u32(2, REGISTER_1)
            .with_u32(3, length)
            .with_nest(4, &value(mask))
            .with_nest(5, &value(xor)),
    )
}

fn named(name: &str, data: &Attributes) -> Attributes {
    Attributes::new().with_text(NAME, name).with_nest(DATA, data)
}

/// An address as it stands in a packet.
pub(crate) fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
