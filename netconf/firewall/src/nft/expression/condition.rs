//! Conditions that an administrator writes: addresses, links, marks.

use ipnetwork::IpNetwork;
use kernel::netfilter::Attributes;

use super::{Address, INPUT_NAME, MARK, OUTPUT_NAME, compared, equal, loaded, meta, unequal};

/// What of a packet's way is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `iifname`
    In,
    /// `oifname`
    Out,
}

/// `ip saddr [!=] NETWORK`, where the family is known.
pub(crate) fn address_in(which: Address, network: IpNetwork, not: bool) -> Vec<Attributes> {
    let mut rule = loaded(which, network);
    rule.push(against(&compared(network), not));
    rule
}

/// `iifname [!=] NAME`; a `*` at the name's end stands for any rest.
pub(crate) fn link(way: Way, name: &str, not: bool) -> Vec<Attributes> {
    let key = if way == Way::In { INPUT_NAME } else { OUTPUT_NAME };
    let mut bytes = name.as_bytes().to_vec();
    match bytes.strip_suffix(b"*") {
        Some(beginning) => bytes = beginning.to_vec(),
        None => bytes.resize(16, 0), // IFNAMSIZ
    }
    vec![meta(key), against(&bytes, not)]
}

/// `meta mark [!=] MARK`
pub(crate) fn mark(mark: u32, not: bool) -> Vec<Attributes> {
    vec![meta(MARK), against(&mark.to_ne_bytes(), not)]
}

fn against(bytes: &[u8], not: bool) -> Attributes {
    if not { unequal(bytes) } else { equal(bytes) }
}
