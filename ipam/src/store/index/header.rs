//! The first bytes of an index: which directory it fits, and where its tables are.

use std::fs;
use std::io;

use super::record::{Block, Decoder, Encoder, Owner, fnv};
use super::storage::Storage;
use super::table::Table;
use crate::store::directory::Stamp;

/// Changes with the format: an index of another format is made anew.
const MAGIC: u64 = u64::from_le_bytes(*b"leases-1");
const LENGTH: u64 = 128;
const FIELDS: usize = 12 * 8;

/// The header.
#[derive(Clone, Debug)]
pub struct Header {
    boot: u64,
    stamp: Stamp,
    owners: u64,
    /// How many slots of the owners' table are full.
    pub owners_used: u64,
    blocks: u64,
    /// How many slots of the blocks' table are full.
    pub blocks_used: u64,
}

impl Header {
    /// The header of empty tables with that many slots, which fits no directory.
    pub fn new(owners: u64, blocks: u64) -> Self {
        let stamp = Stamp { device: 0, inode: 0, modified: (0, 0), changed: (0, 0) };
        Self { boot: 0, stamp, owners, owners_used: 0, blocks, blocks_used: 0 }
    }

    /// Reads and checks the header.
    pub fn read(storage: &Storage) -> io::Result<Self> {
        let mut bytes = [0; FIELDS + 8];
        storage.read(0, &mut bytes)?;
        let (fields, sum) = bytes.split_at(FIELDS);
        let header = Self::decode(&mut Decoder(fields)).filter(|header| {
            fnv(fields).to_le_bytes() == *sum
                && header.owners.is_power_of_two()
                && header.blocks.is_power_of_two()
        });
        let header = header.ok_or_else(|| io::Error::other("the header is damaged"))?;
        if storage.length()? != header.length() {
            return Err(io::Error::other("the index has another length than its header says"));
        }
        Ok(header)
    }

    fn decode(fields: &mut Decoder<'_>) -> Option<Self> {
        let mut next = || fields.u64();
        if next()? != MAGIC {
            return None;
        }
        Some(Self {
            boot: next()?,
            stamp: Stamp {
                device: next()?,
                inode: next()?,
                modified: (next()?.cast_signed(), next()?.cast_signed()),
                changed: (next()?.cast_signed(), next()?.cast_signed()),
            },
            owners: next()?,
            owners_used: next()?,
            blocks: next()?,
            blocks_used: next()?,
        })
    }

    /// Writes the header.
    pub fn write(&self, storage: &mut Storage) -> io::Result<()> {
        let mut bytes = Encoder::default();
        let Stamp { device, inode, modified, changed } = self.stamp;
        for field in [
            MAGIC,
            self.boot,
            device,
            inode,
            modified.0.cast_unsigned(),
            modified.1.cast_unsigned(),
            changed.0.cast_unsigned(),
            changed.1.cast_unsigned(),
            self.owners,
            self.owners_used,
            self.blocks,
            self.blocks_used,
        ] {
            bytes.u64(field);
        }
        let sum = fnv(&bytes.0);
        bytes.u64(sum);
        storage.write(0, &bytes.0)
    }

    /// True when nothing happened to the directory since the index was sealed.
    pub fn fits(&self, stamp: &Stamp) -> bool {
        self.stamp == *stamp && boot().is_ok_and(|boot| boot == self.boot)
    }

    /// Makes it fit.
    pub fn set_stamp(&mut self, stamp: &Stamp) -> io::Result<()> {
        self.boot = boot()?;
        self.stamp = *stamp;
        Ok(())
    }

    /// True when one more entry would make searches long.
    pub fn is_full(&self) -> bool {
        let full = |used: u64, slots: u64| used.saturating_mul(3) >= slots.saturating_mul(2);
        full(self.owners_used, self.owners) || full(self.blocks_used, self.blocks)
    }

    /// The length of header and tables in bytes.
    pub fn length(&self) -> u64 {
        let blocks = self.blocks.saturating_mul(Table::slot_size::<Block>());
        self.blocks_start().saturating_add(blocks)
    }

    /// The table of owners.
    pub fn owners(&self) -> Table {
        Table { start: LENGTH, slots: self.owners }
    }

    /// The table of blocks.
    pub fn blocks(&self) -> Table {
        Table { start: self.blocks_start(), slots: self.blocks }
    }

    fn blocks_start(&self) -> u64 {
        LENGTH.saturating_add(self.owners.saturating_mul(Table::slot_size::<Owner>()))
    }
}

/// A number that differs from boot to boot.
fn boot() -> io::Result<u64> {
    fs::read("/proc/sys/kernel/random/boot_id").map(|id| fnv(&id))
}
