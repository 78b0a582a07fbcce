//! A hash table with open addressing in a part of a file. An empty slot is all zeros; others end
//! with a tag of the family and a check sum, so that damage is an error and never an answer. Removing moves the following entries up, so that no
//! marks of removed entries pile up.

use std::io;

use super::record::{Decoder, Encoder, Record, fnv};
use super::storage::Storage;
use crate::address::Family;

const TAG: usize = 8;

/// Where a table is.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its first byte.
    pub start: u64,
    /// How many slots it has: a power of two.
    pub slots: u64,
}

impl Table {
    /// Bytes of a slot of `R`.
    pub const fn slot_size<R: Record>() -> u64 {
        (R::SIZE + TAG) as u64
    }

    /// The first entry from `home` on that `wanted` says yes to, and its slot.
    pub fn find<R: Record>(
        &self,
        storage: &Storage,
        home: u64,
        mut wanted: impl FnMut(&R) -> bool,
    ) -> io::Result<Option<(u64, R)>> {
        for step in 0..self.slots {
            let at = self.wrap(home.wrapping_add(step));
            match self.read::<R>(storage, at)? {
                None => return Ok(None),
                Some(record) if wanted(&record) => return Ok(Some((at, record))),
                Some(_) => {}
            }
        }
        Err(damaged("a table of the index is full"))
    }

    /// Puts an entry into the first empty slot from its home on.
    pub fn insert<R: Record>(&self, storage: &mut Storage, record: &R) -> io::Result<()> {
        for step in 0..self.slots {
            let at = self.wrap(record.home().wrapping_add(step));
            if self.read::<R>(storage, at)?.is_none() {
                return self.write(storage, at, record);
            }
        }
        Err(damaged("a table of the index is full"))
    }

    /// Empties the slot `hole` and moves up what stands behind it.
    pub fn remove<R: Record>(&self, storage: &mut Storage, mut hole: u64) -> io::Result<()> {
        let mut at = hole;
        for _ in 1..self.slots {
            at = self.wrap(at.wrapping_add(1));
            let Some(record) = self.read::<R>(storage, at)? else { break };
            // It may move up to the hole when its home is not behind the hole.
            let from_home = self.wrap(at.wrapping_sub(record.home()));
            let from_hole = self.wrap(at.wrapping_sub(hole));
            if from_home >= from_hole {
                self.write(storage, hole, &record)?;
                hole = at;
            }
        }
        let size = Self::slot_size::<R>();
        let zeros = vec![0; R::SIZE + TAG];
        storage.write(self.start + hole * size, &zeros)
    }

    /// Overwrites the slot `at`.
    pub fn write<R: Record>(&self, storage: &mut Storage, at: u64, record: &R) -> io::Result<()> {
        let mut slot = Encoder(Vec::with_capacity(R::SIZE + TAG));
        record.encode(&mut slot);
        let tag = tag(&slot.0, record.family());
        slot.u64(tag);
        storage.write(self.start + at * Self::slot_size::<R>(), &slot.0)
    }

    /// Every entry.
    pub fn each<R: Record>(&self, storage: &Storage, mut each: impl FnMut(R)) -> io::Result<()> {
        for at in 0..self.slots {
            if let Some(record) = self.read(storage, at)? {
                each(record);
            }
        }
        Ok(())
    }

    fn read<R: Record>(&self, storage: &Storage, at: u64) -> io::Result<Option<R>> {
        let mut buffer = [0; 640];
        let slot = buffer.get_mut(..R::SIZE + TAG).ok_or_else(|| damaged("an oversized slot"))?;
        storage.read(self.start + at * Self::slot_size::<R>(), slot)?;
        if slot.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let (content, found) = slot.split_at(R::SIZE);
        [Family::V4, Family::V6]
            .into_iter()
            .find(|family| tag(content, *family).to_le_bytes() == *found)
            .and_then(|family| R::decode(family, &mut Decoder(content)))
            .map(Some)
            .ok_or_else(|| damaged("a slot of the index is damaged"))
    }

    fn wrap(&self, at: u64) -> u64 {
        at & self.slots.wrapping_sub(1)
    }
}

/// The family, which makes it not zero, in the lowest byte of the sum.
fn tag(content: &[u8], family: Family) -> u64 {
    fnv(content) & !0xff | u64::from(family.bits())
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
