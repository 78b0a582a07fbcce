//! A cache of the directory, in one file: which addresses a container has, and which are taken.
//!
//! Two hash tables with open addressing. `owners` leads from a container to its addresses.
//! `blocks` has a bit for each of 4096 neighbouring addresses, so that the next free one is found
//! by looking at words and not at files, however many neighbours are taken. Nothing in it is
//! trusted that can be looked at: an address is freed only after its file was read, and given only
//! when its file can be made.
//!
//! The header has the directory's [`Stamp`] and the boot's id. It is written last; so an index
//! that a crash left half changed does not fit its directory, and is made anew. After a power loss
//! the pages of the file may be of different ages, which the boot's id tells.

mod header;
mod record;
mod storage;
mod table;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use kernel::fault;

use super::directory::Stamp;
use crate::address::{Family, number};
use crate::range::Span;
use header::Header;
pub use record::hash;
use record::{BLOCK_BITS, Block, Owner};
use storage::Storage;
use table::Table;

/// The index of a network's leases.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    image: Image,
}

/// The tables, in a file or, while they are being made and where no file can be, in memory.
#[derive(Debug)]
pub struct Image {
    storage: Storage,
    header: Header,
}

impl Index {
    /// The index at `path`, if it fits the directory's `stamp`.
    pub fn load(path: &Path, stamp: &Stamp) -> io::Result<Self> {
        let storage = Storage::open(path)?;
        let header = Header::read(&storage)?;
        if !header.fits(stamp) {
            return Err(io::Error::other("the directory was changed since"));
        }
        Ok(Self { path: path.to_owned(), image: Image { storage, header } })
    }

    /// Puts a new image at `path`. Where that fails, the index lives in memory for this call.
    pub fn make(path: PathBuf, image: Image) -> Self {
        let mut index = Self { path, image };
        let _ = index.persist();
        index
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The addresses that may be the container's.
    pub fn of_container(&self, container: &str) -> io::Result<Vec<IpAddr>> {
        let hash = hash(container);
        let mut addresses = Vec::new();
        self.image.owners().find(&self.image.storage, hash, |owner: &Owner| {
            if owner.hash == hash {
                addresses.push(owner.address());
            }
            false
        })?;
        Ok(addresses)
    }

    /// The first free address of `span`.
    pub fn first_free(&self, span: Span) -> io::Result<Option<u128>> {
        let mut at = span.first;
        loop {
            let block = self.image.block(span.family, at / BLOCK_BITS)?;
            let Some(block) = block else { return Ok(Some(at)) };
            if let Some(free) = block.first_free(at) {
                return Ok((free <= span.last).then_some(free));
            }
            let Some(next) = block.after() else { return Ok(None) };
            if next > span.last {
                return Ok(None);
            }
            at = next;
        }
    }

    /// Notes that the container has `address`.
    pub fn insert(&mut self, address: IpAddr, container: &str) -> io::Result<()> {
        fault::point("note a lease in the index")?;
        if self.image.insert_checked(address, container)? {
            self.persist()?;
        }
        Ok(())
    }

    /// Notes that the container no longer has `address`.
    pub fn remove(&mut self, address: IpAddr, container: &str) -> io::Result<()> {
        fault::point("strike a lease from the index")?;
        self.image.remove(address, container)
    }

    /// Notes that the index fits the directory.
    pub fn seal(&mut self, stamp: &Stamp) -> io::Result<()> {
        fault::point("seal the index")?;
        self.image.header.set_stamp(stamp)?;
        self.image.header.write(&mut self.image.storage)
    }

    /// Moves the image into a file, which takes the place of the old one at once.
    fn persist(&mut self) -> io::Result<()> {
        fault::point("make the index")?;
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        self.image.header.write(&mut self.image.storage)?;
        let new = self.path.with_added_extension("new");
        let file = self.image.storage.copy_to(&new)?;
        let named = fault::point("name the index").and_then(|()| fs::rename(&new, &self.path));
        if let Err(e) = named {
            let _ = fs::remove_file(&new);
            return Err(e);
        }
        self.image.storage = file;
        Ok(())
    }
}

impl Image {
    /// An empty image in memory, with room for about as many leases.
    pub fn new(leases: usize) -> Self {
        let leases = leases as u64;
        // Neighbours share a block; where they do not, the table grows.
        Self::with_room(leases, leases >> BLOCK_BITS.trailing_zeros())
    }

    fn with_room(owners: u64, blocks: u64) -> Self {
        let header = Header::new(room(owners, 64), room(blocks, 4));
        Self { storage: Storage::zeros(header.length()), header }
    }

    /// As [`Index::insert`], in memory, where it cannot fail.
    pub fn insert(&mut self, address: IpAddr, container: &str) {
        let _ = self.insert_checked(address, container);
    }

    /// True when the tables had to grow for it: then the image is in memory.
    fn insert_checked(&mut self, address: IpAddr, container: &str) -> io::Result<bool> {
        let grown = self.header.is_full();
        if grown {
            *self = self.regrown()?;
        }
        let family = Family::of(address);
        let number = number(address);
        let (table, home) = (self.blocks(), Block::home_of(number / BLOCK_BITS));
        let place = table
            .find(&self.storage, home, |block: &Block| block.is(family, number / BLOCK_BITS))?;
        if let Some((at, mut block)) = place {
            block.set(number, true);
            table.write(&mut self.storage, at, &block)?;
        } else {
            let mut block = Block::new(family, number / BLOCK_BITS);
            block.set(number, true);
            table.insert(&mut self.storage, &block)?;
            self.header.blocks_used += 1;
        }
        let owner = Owner::new(container, address);
        self.owners().insert(&mut self.storage, &owner)?;
        self.header.owners_used += 1;
        Ok(grown)
    }

    fn remove(&mut self, address: IpAddr, container: &str) -> io::Result<()> {
        let owner = Owner::new(container, address);
        let owners = self.owners();
        if let Some((at, _)) = owners.find(&self.storage, owner.hash, |o: &Owner| *o == owner)? {
            owners.remove::<Owner>(&mut self.storage, at)?;
            self.header.owners_used = self.header.owners_used.saturating_sub(1);
        }
        let (family, number) = (Family::of(address), number(address));
        let (table, home) = (self.blocks(), Block::home_of(number / BLOCK_BITS));
        let place = table
            .find(&self.storage, home, |block: &Block| block.is(family, number / BLOCK_BITS))?;
        if let Some((at, mut block)) = place {
            block.set(number, false);
            table.write(&mut self.storage, at, &block)?;
        }
        Ok(())
    }

    /// The same leases in tables with room for twice as many, without the blocks that became
    /// empty: the round robin through a large IPv6 range leaves them behind.
    fn regrown(&self) -> io::Result<Self> {
        let mut live = 0;
        self.blocks().each(&self.storage, |block: Block| live += u64::from(!block.is_empty()))?;
        let mut image = Self::with_room(self.header.owners_used + 1, live + 1);
        let (owners, blocks) = (image.owners(), image.blocks());
        let mut result = Ok(());
        self.owners().each(&self.storage, |owner: Owner| {
            if result.is_ok() {
                result = owners.insert(&mut image.storage, &owner);
            }
        })?;
        self.blocks().each(&self.storage, |block: Block| {
            if result.is_ok() && !block.is_empty() {
                result = blocks.insert(&mut image.storage, &block);
            }
        })?;
        image.header.owners_used = self.header.owners_used;
        image.header.blocks_used = live;
        result.map(|()| image)
    }

    fn block(&self, family: Family, block: u128) -> io::Result<Option<Block>> {
        let found = self
            .blocks()
            .find(&self.storage, Block::home_of(block), |b: &Block| b.is(family, block))?;
        Ok(found.map(|(_, block)| block))
    }

    fn owners(&self) -> Table {
        self.header.owners()
    }

    fn blocks(&self) -> Table {
        self.header.blocks()
    }
}

/// Slots for `used` entries, so that the table is at most half full when it is new.
fn room(used: u64, least: u64) -> u64 {
    used.saturating_mul(2).next_power_of_two().max(least)
}

#[cfg(test)]
mod tests;
