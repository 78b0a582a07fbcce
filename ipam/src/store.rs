//! The leases of a network, on the disk layout of the reference: `<dataDir>/<network>/<address>`
//! holds `<containerID>\r\n<ifname>`; `lock` is held (flock) while anything is read or changed;
//! `last_reserved_ip.N` is where the round robin of range set N stands.
//!
//! - A lease appears by rename, so its file is never torn. A file that a crash of somebody else
//!   left empty or full of NULs counts as free and is written over.
//! - Nothing is synced: after a power loss no container lives, so a lost lease harms nobody.
//! - The [`index`] makes a lookup cost the same with ten leases and with sixty thousand. It is
//!   only a cache; whenever it does not fit the directory, it is made anew from the files.

mod directory;
mod index;
mod lease;
mod scan;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use cni::{Attachment, Code, ContainerId, Error, IfName, NetworkName};
use kernel::{fault, regular};

use crate::range::{RangeSet, Span};
use directory::Directory;
use index::Index;
pub use lease::{Content, Holder};

/// The leases of a network, locked.
#[derive(Debug)]
pub struct Store {
    directory: Directory,
    index: Index,
    /// The directory was changed, or the index made anew, since both were last found to agree.
    changed: bool,
    /// The index was made from the files during this call.
    fresh: bool,
}

/// What [`Store::take`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// The address is the attachment's now.
    Yes,
    /// It is somebody else's.
    No(Holder),
}

impl Store {
    /// Locks the network's leases, making the directory where it is missing. Code 5.
    pub fn create(data_dir: &Path, network: &NetworkName) -> Result<Self, Error> {
        Self::locked(Directory::create(data_dir, network)?, data_dir, network)
    }

    /// Locks the network's leases; none where the directory does not exist. Code 5.
    pub fn open(data_dir: &Path, network: &NetworkName) -> Result<Option<Self>, Error> {
        match Directory::open(data_dir, network)? {
            Some(directory) => Self::locked(directory, data_dir, network).map(Some),
            None => Ok(None),
        }
    }

    fn locked(directory: Directory, data_dir: &Path, network: &NetworkName) -> Result<Self, Error> {
        let path = index_path(data_dir, network);
        let known = directory.stamp().ok().and_then(|stamp| Index::load(&path, &stamp).ok());
        if let Some(index) = known {
            return Ok(Self { directory, index, changed: false, fresh: false });
        }
        let index = scan::index(&directory, path)?;
        Ok(Self { directory, index, changed: true, fresh: true })
    }

    /// The addresses of the attachment, those of files without interface name included. Should a
    /// file be found to say something else than the index, the index is made anew first.
    pub fn held(&mut self, attachment: &Attachment) -> Result<Vec<(IpAddr, Holder)>, Error> {
        if let Ok(addresses) = self.index.of_container(attachment.container.as_str())
            && let Some(held) = self.read_held(&addresses, attachment)?
        {
            return Ok(held);
        }
        self.rebuild()?;
        let addresses = self.index.of_container(attachment.container.as_str());
        let addresses = addresses.map_err(|error| self.index_defect(&error))?;
        Ok(self.read_held(&addresses, attachment)?.unwrap_or_default())
    }

    /// Those of `addresses` that the attachment has; none when a file does not fit the index.
    fn read_held(
        &self,
        addresses: &[IpAddr],
        attachment: &Attachment,
    ) -> Result<Option<Vec<(IpAddr, Holder)>>, Error> {
        let mut held = Vec::new();
        for address in addresses {
            match self.directory.content(*address)? {
                Content::Held(holder) if holder.hashes_like(&attachment.container) => {
                    if holder.is(attachment) {
                        held.push((*address, holder));
                    }
                }
                _ => return Ok(None),
            }
        }
        held.sort_by_key(|(address, _)| *address);
        Ok(Some(held))
    }

    /// Gives `address` to the attachment, if it is free. Code 5.
    pub fn take(&mut self, address: IpAddr, attachment: &Attachment) -> Result<Taken, Error> {
        self.changed = true;
        let mut tries = 0;
        while !self.directory.write_lease(address, attachment)? {
            tries += 1;
            if tries > 16 {
                return Err(Error::new(
                    Code::TRY_AGAIN,
                    format!("{address}: somebody makes its file as often as it is removed"),
                )
                .details("look who writes to ipam.dataDir without holding its lock"));
            }
            match self.directory.content(address)? {
                Content::Held(holder) => return Ok(Taken::No(holder)),
                // Nobody's: an empty file, or a link that leads nowhere.
                Content::Free | Content::Missing => self.directory.remove_lease(address)?,
            }
        }
        if self.index.insert(address, attachment.container.as_str()).is_err() {
            self.rebuild()?;
        }
        Ok(Taken::Yes)
    }

    /// Who holds `address`.
    pub fn holder(&self, address: IpAddr) -> Result<Option<Holder>, Error> {
        Ok(match self.directory.content(address)? {
            Content::Held(holder) => Some(holder),
            Content::Free | Content::Missing => None,
        })
    }

    /// Gives the first free address of `set` after the one given last to the attachment; none
    /// when all are taken.
    pub fn take_next<'a>(
        &mut self,
        set: &'a RangeSet,
        number: usize,
        attachment: &Attachment,
    ) -> Result<Option<(IpAddr, &'a crate::range::Range)>, Error> {
        let taken = self.take_indexed(set, number, attachment)?;
        if taken.is_some() || !self.refresh()? {
            return Ok(taken);
        }
        self.take_indexed(set, number, attachment)
    }

    fn take_indexed<'a>(
        &mut self,
        set: &'a RangeSet,
        number: usize,
        attachment: &Attachment,
    ) -> Result<Option<(IpAddr, &'a crate::range::Range)>, Error> {
        let last = self.directory.last_reserved(number);
        'spans: for (mut span, range) in set.spans_after(last) {
            while let Some(found) = self.first_free(span)? {
                let address = span.family.address(found);
                match self.take(address, attachment)? {
                    Taken::Yes => return Ok(Some((address, range))),
                    // The index took it for free; the file says who is right.
                    Taken::No(_) => self.rebuild()?,
                }
                if found == span.last {
                    continue 'spans;
                }
                span.first = found + 1;
            }
        }
        Ok(None)
    }

    /// True when `set` has a free address.
    pub fn has_free(&mut self, set: &RangeSet) -> Result<bool, Error> {
        Ok(self.has_free_indexed(set)? || (self.refresh()? && self.has_free_indexed(set)?))
    }

    fn has_free_indexed(&mut self, set: &RangeSet) -> Result<bool, Error> {
        for (span, _) in set.spans_after(None) {
            if self.first_free(span)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn first_free(&mut self, span: Span) -> Result<Option<u128>, Error> {
        if let Ok(found) = self.index.first_free(span) {
            return Ok(found);
        }
        self.rebuild()?;
        self.index.first_free(span).map_err(|error| self.index_defect(&error))
    }

    /// Frees `address`, which the container holds. Code 5.
    pub fn release(&mut self, address: IpAddr, container: &str) -> Result<(), Error> {
        self.changed = true;
        self.directory.remove_lease(address)?;
        if self.index.remove(address, container).is_err() {
            self.rebuild()?;
        }
        Ok(())
    }

    /// Frees every address whose holder is an attachment that `valid` does not list, and removes
    /// the empty and unreadable files. Text that no runtime can have written is left alone: an
    /// administrator may have reserved an address with it. Goes on after errors.
    pub fn keep_only(&mut self, valid: &BTreeSet<(ContainerId, IfName)>) -> Result<(), Error> {
        let mut errors = Vec::new();
        for (path, content) in scan::leases(&self.directory)? {
            let stays = match &content {
                Content::Held(holder) => holder.stays(valid),
                Content::Free => false,
                Content::Missing => true,
            };
            if !stays {
                self.changed = true;
                errors.extend(directory::remove(&path).err());
            }
        }
        if self.changed {
            self.rebuild()?;
        }
        Error::all(errors)
    }

    /// Remembers that the round robin of range set `number` has come to `address`. Only a hint:
    /// when it cannot be written, the next address may be one that was given before.
    pub fn remember(&self, number: usize, address: IpAddr) {
        let _ = self.directory.remember(number, address);
    }

    fn rebuild(&mut self) -> Result<(), Error> {
        self.changed = true;
        self.index = scan::index(&self.directory, self.index.path().to_owned())?;
        self.fresh = true;
        Ok(())
    }

    /// Makes the index anew unless this call has done so. A file that was emptied in place does not
    /// show in the directory; so nobody is turned away before all files were looked at. False when
    /// the index is as it was.
    fn refresh(&mut self) -> Result<bool, Error> {
        if self.fresh {
            return Ok(false);
        }
        self.rebuild()?;
        Ok(true)
    }

    fn index_defect(&self, error: &io::Error) -> Error {
        Error::new(
            Code::INTERNAL,
            format!("the fresh index {} is unreadable: {error}", self.index.path().display()),
        )
    }
}

/// Puts the stamp of the directory into the index. Without it, the next call makes the index
/// anew; so a failure costs time, and nothing else.
impl Drop for Store {
    fn drop(&mut self) {
        if self.changed
            && let Ok(stamp) = self.directory.mark()
        {
            let _ = self.index.seal(&stamp);
        }
    }
}

/// In the store's root, so that it is on the same file system and goes when the store is wiped,
/// and behind a dot, which no network's name begins with: the reference does not walk it.
fn index_path(data_dir: &Path, network: &NetworkName) -> PathBuf {
    data_dir.join(".index").join(network.as_str())
}

/// Writes `bytes` over the file at `path` without cutting it to nothing first: that would make
/// ext4 start to write it to the disk.
fn overwrite(path: &Path, bytes: &[u8], what: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    fault::point(what)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let mut file = regular::open(&mut options, path)?;
    let length = file.metadata()?.len();
    file.write_all(bytes)?;
    if length > bytes.len() as u64 {
        fault::point(what)?;
        file.set_len(bytes.len() as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
