//! Netlink attributes: type, length and value, nested and padded to four bytes.

/// `NLA_F_NESTED`: the value is attributes itself.
const NESTED: u16 = 1 << 15;
/// The bits of an attribute's type that are its number (`NLA_TYPE_MASK`).
const TYPE: u16 = 0x3fff;

/// Attributes in the making. What would not fit an attribute's 16-bit length is remembered, and
/// the message that holds it is refused when it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Attributes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a value as it stands.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.push(kind, value);
        self
    }

    /// With a text, ended by NUL.
    #[must_use]
    pub fn with_text(self, kind: u16, text: &str) -> Self {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.with(kind, &value)
    }

    /// With a number in network byte order, which is how nf_tables wants all of its numbers.
    #[must_use]
    pub fn with_u32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_be_bytes())
    }

    /// With a 64-bit number in network byte order.
    #[must_use]
    pub fn with_u64(self, kind: u16, value: u64) -> Self {
        self.with(kind, &value.to_be_bytes())
    }

    /// With attributes inside an attribute.
    #[must_use]
    pub fn with_nest(mut self, kind: u16, inner: &Self) -> Self {
        self.too_long |= inner.too_long;
        self.with(kind | NESTED, &inner.bytes)
    }

    /// With a list: each item an attribute of the same number.
    #[must_use]
    pub fn with_list(self, kind: u16, item: u16, items: &[Self]) -> Self {
        let list = items.iter().fold(Self::new(), |list, each| list.with_nest(item, each));
        self.with_nest(kind, &list)
    }

    /// The encoded attributes, `None` when one of them is too long to be encoded.
    pub fn bytes(&self) -> Option<&[u8]> {
        (!self.too_long).then_some(&self.bytes)
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        let Some(length) = u16::try_from(value.len()).ok().and_then(|l| l.checked_add(4)) else {
            self.too_long = true;
            return;
        };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Reads attributes one by one: number and value. Ends at the first malformed one.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reader<'a> {
    rest: &'a [u8],
    nested: bool,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, nested: false }
    }

    /// The value of the first attribute with this number.
    pub fn find(&self, kind: u16) -> Option<&'a [u8]> {
        self.clone().find_map(|(k, value)| (k == kind).then_some(value))
    }

    /// The attributes inside the first one with this number; none where there is none.
    pub fn nest(&self, kind: u16) -> Reader<'a> {
        Reader::new(self.find(kind).unwrap_or_default())
    }

    /// A text, without the NUL at its end.
    pub fn text(&self, kind: u16) -> Option<&'a str> {
        let value = self.find(kind)?;
        std::str::from_utf8(value.strip_suffix(&[0]).unwrap_or(value)).ok()
    }

    /// A 32-bit number in network byte order.
    pub fn number(&self, kind: u16) -> Option<u32> {
        self.find(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// True when the attribute just read was marked as holding attributes.
    pub fn was_nested(&self) -> bool {
        self.nested
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, after) = self.rest.split_first_chunk::<2>()?;
        let (kind, _) = after.split_first_chunk::<2>()?;
        let kind = u16::from_ne_bytes(*kind);
        let length = usize::from(u16::from_ne_bytes(*length));
        let value = self.rest.get(4..length)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        self.nested = kind & NESTED != 0;
        Some((kind & TYPE, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let inner = Attributes::new().with_text(1, "jump").with_u32(2, 7);
        let all = Attributes::new().with(9, &[1, 2, 3]).with_nest(4, &inner).with_u64(5, 1);
        let read = Reader::new(all.bytes().unwrap());
        assert_eq!(read.find(9), Some(&[1, 2, 3][..]));
        assert_eq!(read.nest(4).text(1), Some("jump"));
        assert_eq!(read.nest(4).number(2), Some(7));
        assert_eq!(read.find(5), Some(&[0, 0, 0, 0, 0, 0, 0, 1][..]));
        assert_eq!(read.find(6), None);
    }

    #[test]
    fn a_value_that_fits_no_attribute_is_not_cut_short() {
        let long = vec![0; 65_532];
        assert_eq!(Attributes::new().with(1, &long).bytes(), None);
        let inner = Attributes::new().with(1, &long);
        assert_eq!(Attributes::new().with_nest(2, &inner).bytes(), None);
        assert!(Attributes::new().with(1, &long[1..]).bytes().is_some());
    }

    #[test]
    fn malformed_attributes_end_the_reading() {
        for bytes in [&[][..], &[8], &[8, 0, 1, 0, 1], &[3, 0, 1, 0], &[0, 0, 0, 0]] {
            assert_eq!(Reader::new(bytes).next(), None, "{bytes:?}");
        }
    }
}
