//! What rules on forwarded packets are made of: where a packet comes from and goes to, its
//! connection, its mark.

use kernel::netfilter::Attributes;

use super::{REGISTER_1, REGISTER_2, bitwise, equal, masked, meta, meta_into, named, value};

/// `NFT_META_*`
const MARK: u32 = 3;
const OUTPUT_NAME: u32 = 7;
/// `NFT_CT_STATE`
const STATE: u32 = 0;
/// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED)` and of `IP_CT_RELATED`.
const ESTABLISHED_OR_RELATED: u32 = 0x2 | 0x4;

/// `oifname`, loaded.
pub(crate) fn output_name() -> Attributes {
    meta(OUTPUT_NAME)
}

/// `oifname`, loaded behind the name of [`input_name`](super::input_name) as the second part of a
/// key.
pub(crate) fn output_name_behind_name() -> Attributes {
    meta_into(REGISTER_2, OUTPUT_NAME)
}

/// `ct state established,related`
pub(crate) fn established() -> [Attributes; 3] {
    const REGISTER: u16 = 1;
    const KEY: u16 = 2;
    let state = Attributes::new().with_u32(REGISTER, REGISTER_1).with_u32(KEY, STATE);
    [named("ct", &state), masked(&ESTABLISHED_OR_RELATED.to_ne_bytes()), not_zero()]
}

/// `meta mark & BIT != 0`
pub(crate) fn is_marked(bit: u32) -> [Attributes; 3] {
    [meta(MARK), masked(&bit.to_ne_bytes()), not_zero()]
}

/// `-m mark --mark BIT/BIT` in nf_tables' own terms, as newer versions of iptables write it.
pub(crate) fn bears(bit: u32) -> [Attributes; 3] {
    [meta(MARK), masked(&bit.to_ne_bytes()), equal(&bit.to_ne_bytes())]
}

/// `meta mark set meta mark | BIT`
pub(crate) fn sets(bit: u32) -> [Attributes; 3] {
    [meta(MARK), bitwise(&(!bit).to_ne_bytes(), &bit.to_ne_bytes()), set_mark()]
}

/// `meta mark set meta mark & ~BIT`
pub(crate) fn clears(bit: u32) -> [Attributes; 3] {
    [meta(MARK), masked(&(!bit).to_ne_bytes()), set_mark()]
}

/// `counter`: counts what has come this far.
pub(crate) fn counter() -> Attributes {
    named("counter", &Attributes::new())
}

fn set_mark() -> Attributes {
    const KEY: u16 = 2;
    const SOURCE: u16 = 3;
    named("meta", &Attributes::new().with_u32(KEY, MARK).with_u32(SOURCE, REGISTER_1))
}

fn not_zero() -> Attributes {
    const NOT_EQUAL: u32 = 1;
    let zero = value(&0_u32.to_ne_bytes());
    let attributes = Attributes::new().with_u32(1, REGISTER_1).with_u32(2, NOT_EQUAL);
    named("cmp", &attributes.with_nest(3, &zero))
}
