//! Destination NAT by a map from ports to endpoints.
//!
//! nft numbers a register by its place in units of 16 bytes where it can and in units of four
//! where it must, and so does the kernel when it lists them.

use kernel::netfilter::Attributes;

use super::{IPV4, IPV6, REGISTER_1, REGISTER_2, address, meta_into, named, payload, unequal};
use crate::nft::expression::Address;

/// The registers of four bytes behind an IPv4 address in register 1, and behind those.
const BEHIND_4: u32 = 9;
const BEHIND_8: u32 = 10;
/// The one of four bytes after the first of register 2.
const BEHIND_20: u32 = 13;

/// `NFT_PAYLOAD_TRANSPORT_HEADER`
const TRANSPORT_HEADER: u32 = 2;

/// `fib daddr type != local`: only what is not for this machine goes on.
pub(crate) fn is_for_others() -> [Attributes; 2] {
    const TYPE: u32 = 3; // NFT_FIB_RESULT_ADDRTYPE
    const DESTINATION: u32 = 2; // NFTA_FIB_F_DADDR
    let fib = Attributes::new().with_u32(1, REGISTER_1).with_u32(2, TYPE).with_u32(3, DESTINATION);
    [named("fib", &fib), unequal(&u32::from(libc::RTN_LOCAL).to_ne_bytes())]
}

/// `dnat ip to meta l4proto . th dport map @map`, or `ip6`: what is not in the map goes on.
pub(crate) fn by_port(v6: bool, map: &str) -> Vec<Attributes> {
    vec![protocol(REGISTER_1), port(BEHIND_4), looked_up(map), translate(v6)]
}

/// `dnat ip to ip daddr . meta l4proto . th dport map @map`, or `ip6`.
pub(crate) fn by_address_and_port(v6: bool, map: &str) -> Vec<Attributes> {
    let (behind, next) = if v6 { (REGISTER_2, BEHIND_20) } else { (BEHIND_4, BEHIND_8) };
    let key = [address(v6, Address::Destination), protocol(behind), port(next)];
    key.into_iter().chain([looked_up(map), translate(v6)]).collect()
}

fn protocol(register: u32) -> Attributes {
    const PROTOCOL: u32 = 16; // NFT_META_L4PROTO
    meta_into(register, PROTOCOL)
}

/// The destination port, which stands at the same place in TCP, UDP and SCTP.
fn port(register: u32) -> Attributes {
    payload(register, TRANSPORT_HEADER, 2, 2)
}

fn looked_up(map: &str) -> Attributes {
    let attributes = Attributes::new().with_text(1, map).with_u32(2, REGISTER_1);
    named("lookup", &attributes.with_u32(3, REGISTER_1))
}

/// `dnat` to the address and the port in the registers.
fn translate(v6: bool) -> Attributes {
    const TYPE: u16 = 1;
    const DESTINATION: u32 = 1; // NFT_NAT_DNAT
    const FAMILY: u16 = 2;
    const ADDRESS: u16 = 3;
    const PORT: u16 = 5;
    let (family, port) = if v6 { (IPV6, REGISTER_2) } else { (IPV4, BEHIND_4) };
    let attributes = Attributes::new()
        .with_u32(TYPE, DESTINATION)
        .with_u32(FAMILY, family.into())
        .with_u32(ADDRESS, REGISTER_1)
        .with_u32(PORT, port);
    named("nat", &attributes)
}
