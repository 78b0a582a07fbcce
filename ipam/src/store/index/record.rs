//! What stands in the slots of the tables.

use std::net::IpAddr;

use crate::address::{Family, number};

/// How many neighbouring addresses share a block.
pub const BLOCK_BITS: u128 = 4096;
const WORDS: usize = 64;

/// What a slot can hold.
pub trait Record: Sized {
    /// Bytes of the content, without the tag.
    const SIZE: usize;

    /// Where in the table its search begins.
    fn home(&self) -> u64;

    /// The family, which goes into the tag.
    fn family(&self) -> Family;

    /// Writes the content.
    fn encode(&self, slot: &mut Encoder);

    /// Reads what [`Self::encode`] wrote.
    fn decode(family: Family, slot: &mut Decoder<'_>) -> Option<Self>;
}

/// An address of a container, by the hash of the container's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub hash: u64,
    family: Family,
    number: u128,
}

impl Owner {
    pub fn new(container: &str, address: IpAddr) -> Self {
        Self { hash: hash(container), family: Family::of(address), number: number(address) }
    }

    pub fn address(&self) -> IpAddr {
        self.family.address(self.number)
    }
}

impl Record for Owner {
    const SIZE: usize = 8 + 16;

    fn home(&self) -> u64 {
        self.hash
    }

    fn family(&self) -> Family {
        self.family
    }

    fn encode(&self, slot: &mut Encoder) {
        slot.u64(self.hash);
        slot.u128(self.number);
    }

    fn decode(family: Family, slot: &mut Decoder<'_>) -> Option<Self> {
        Some(Self { family, hash: slot.u64()?, number: slot.u128()? })
    }
}

/// Which of 4096 neighbouring addresses are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    family: Family,
    number: u128,
    taken: [u64; WORDS],
}

impl Block {
    pub fn new(family: Family, number: u128) -> Self {
        Self { family, number, taken: [0; WORDS] }
    }

    /// Neighbours stand next to each other; the upper bits, by which IPv6 subnets differ, are mixed.
    pub fn home_of(number: u128) -> u64 {
        let [low, high] = halves(number);
        low.wrapping_add(mix(high)).wrapping_add(mix(low >> 20))
    }

    pub fn is(&self, family: Family, number: u128) -> bool {
        self.family == family && self.number == number
    }

    pub fn is_empty(&self) -> bool {
        self.taken.iter().all(|word| *word == 0)
    }

    /// Notes whether `address`, one of the block's, is taken.
    pub fn set(&mut self, address: u128, taken: bool) {
        let (word, bit) = place(address);
        if let Some(word) = self.taken.get_mut(word) {
            *word = if taken { *word | 1 << bit } else { *word & !(1 << bit) };
        }
    }

    /// The first free address of the block that is not before `address`, one of the block's.
    pub fn first_free(&self, address: u128) -> Option<u128> {
        let (from, bit) = place(address);
        for (n, word) in self.taken.iter().enumerate().skip(from) {
            let passed = if n == from { (1_u64 << bit) - 1 } else { 0 };
            let free = !(word | passed);
            if free != 0 {
                let offset = n as u128 * 64 + u128::from(free.trailing_zeros());
                return Some(self.number * BLOCK_BITS + offset);
            }
        }
        None
    }

    /// The first address after the block; none when there is none.
    pub fn after(&self) -> Option<u128> {
        self.number.checked_add(1)?.checked_mul(BLOCK_BITS)
    }
}

impl Record for Block {
    const SIZE: usize = 16 + 8 * WORDS;

    fn home(&self) -> u64 {
        Self::home_of(self.number)
    }

    fn family(&self) -> Family {
        self.family
    }

    fn encode(&self, slot: &mut Encoder) {
        slot.u128(self.number);
        for word in self.taken {
            slot.u64(word);
        }
    }

    fn decode(family: Family, slot: &mut Decoder<'_>) -> Option<Self> {
        let mut block = Self::new(family, slot.u128()?);
        for word in &mut block.taken {
            *word = slot.u64()?;
        }
        Some(block)
    }
}

/// A slot being written.
#[derive(Default)]
pub struct Encoder(pub Vec<u8>);

impl Encoder {
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

/// A slot being read.
pub struct Decoder<'a>(pub &'a [u8]);

impl Decoder<'_> {
    pub fn u64(&mut self) -> Option<u64> {
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*value))
    }

    pub fn u128(&mut self) -> Option<u128> {
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u128::from_le_bytes(*value))
    }
}

/// The hash by which containers are found. It is on disk; so it is one that will not change.
pub fn hash(text: &str) -> u64 {
    mix(fnv(text.as_bytes()))
}

/// FNV-1a, 64 bits.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finalizer of MurmurHash3: every bit of the input moves every bit of the output.
fn mix(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

fn halves(number: u128) -> [u64; 2] {
    let low = number & u128::from(u64::MAX);
    [low, number >> 64].map(|half| u64::try_from(half).unwrap_or(u64::MAX))
}

/// The word and the bit of an address in its block.
fn place(address: u128) -> (usize, u32) {
    let offset = u32::try_from(address % BLOCK_BITS).unwrap_or(0);
    (offset as usize / 64, offset % 64)
}
