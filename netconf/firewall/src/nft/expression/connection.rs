//! What is known of the connection that a packet is of.

use kernel::netfilter::Attributes;

use super::{REGISTER_1, equal, masked, named, unequal};

/// `NFT_CT_*`
const STATE: u32 = 0;
const STATUS: u32 = 2;
/// `NF_CT_STATE_BIT` of `IP_CT_ESTABLISHED`, `IP_CT_RELATED` and `IP_CT_NEW`.
const ESTABLISHED_OR_RELATED: u32 = 0x2 | 0x4;
const NEW: u32 = 1 << 3;
/// `IPS_DST_NAT`
const DESTINATION_NAT: u32 = 1 << 5;

/// `ct state established,related`: only what belongs to a connection goes on.
pub(crate) fn established() -> [Attributes; 3] {
    has(STATE, ESTABLISHED_OR_RELATED)
}

/// `ct state new`: only what begins a connection goes on.
pub(crate) fn is_new() -> [Attributes; 3] {
    has(STATE, NEW)
}

/// `ct status dnat`: only what was sent on to another destination goes on.
pub(crate) fn was_translated() -> [Attributes; 3] {
    has(STATUS, DESTINATION_NAT)
}

/// `ct status ! dnat`: only the rest goes on.
pub(crate) fn was_not_translated() -> [Attributes; 3] {
    let [load, mask, _] = was_translated();
    [load, mask, equal(&[0; 4])]
}

/// Something of the connection has one of these bits.
fn has(key: u32, bits: u32) -> [Attributes; 3] {
    const KEY: u16 = 2;
    let load = Attributes::new().with_u32(1, REGISTER_1).with_u32(KEY, key);
    [named("ct", &load), masked(&bits.to_ne_bytes()), unequal(&[0; 4])]
}
