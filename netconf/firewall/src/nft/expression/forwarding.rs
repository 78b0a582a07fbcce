//! What rules on forwarded packets are made of: where a packet goes to, its mark.

use kernel::netfilter::Attributes;

use super::{
    MARK, OUTPUT_NAME, REGISTER_1, REGISTER_2, bitwise, equal, masked, meta, meta_into, named,
    unequal,
};

/// `oifname`, loaded.
pub(crate) fn output_name() -> Attributes {
    meta(OUTPUT_NAME)
}

/// `oifname`, loaded behind the name of [`input_name`](super::input_name) as the second part of a
/// key.
pub(crate) fn output_name_behind_name() -> Attributes {
    meta_into(REGISTER_2, OUTPUT_NAME)
}

/// `meta mark & BIT != 0`
pub(crate) fn is_marked(bit: u32) -> [Attributes; 3] {
    [meta(MARK), masked(&bit.to_ne_bytes()), unequal(&[0; 4])]
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
