//! Reading attributes out of a message and putting them in, without knowing all of them. A link has some eighty, most of
//! them of kinds that we never look at; parsers for all of them would be a fifth of an executable.

use std::net::IpAddr;

/// Without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const KIND: u16 = 0x3fff;

/// The attributes in `bytes`, as type and value. Ends where they are malformed.
pub fn of(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, _) = rest.split_at_checked(4)?;
        let length = usize::from(short(head.get(..2)?)?);
        let kind = short(head.get(2..)?)? & KIND;
        // A length of less than the header's own gives nothing here, and so ends it.
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// An attribute, padded as the next one needs it.
pub fn nest(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A text, up to its NUL.
pub fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

/// A number of 32 bits.
pub fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

/// A number of 16 bits.
pub fn short(value: &[u8]) -> Option<u16> {
    value.try_into().ok().map(u16::from_ne_bytes)
}

/// A number of 16 bits in network order, as ports are.
pub fn port(value: &[u8]) -> Option<u16> {
    value.try_into().ok().map(u16::from_be_bytes)
}

/// An address; its length tells the family.
pub fn ip(value: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(value).map(IpAddr::from);
    <[u8; 16]>::try_from(value).map(IpAddr::from).or_else(|_| four()).ok()
}

/// A switch of 8 bits.
pub fn switch(value: &[u8]) -> bool {
    value.first().is_some_and(|byte| *byte != 0)
}
