//! The directory of a network's leases and its lock.

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cni::{Attachment, Code, Error, NetworkName};
use kernel::{fault, regular};

use super::{Content, Holder, overwrite};

/// A lease before it gets its name. The reference reads it like every file here, and passes over
/// it, because the name is no address. There is one at most: the lock is held.
pub const UNFINISHED: &str = ".unfinished";

/// The directory, locked as long as the value lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
    _lock: File,
}

/// What the directory's inode says. Every change of its entries sets both times to the same
/// instant. [`Directory::mark`] makes them differ; so a change after it shows, even one in the
/// same tick of the kernel's clock, or under a clock that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub modified: (i64, i64),
    pub changed: (i64, i64),
}

impl Directory {
    /// Locks the directory of `network`, making it where it is missing. Code 5.
    pub fn create(data_dir: &Path, network: &NetworkName) -> Result<Self, Error> {
        let path = data_dir.join(network.as_str());
        loop {
            if !path.is_dir() {
                fault::point("make the lease directory")
                    .and_then(|()| DirBuilder::new().recursive(true).mode(0o755).create(&path))
                    .map_err(|e| failed("making the lease directory", &path, &e))?;
            }
            if let Some(directory) = Self::lock(&path)? {
                return Ok(directory);
            }
        }
    }

    /// Locks the directory of `network`; none where it does not exist. Code 5.
    pub fn open(data_dir: &Path, network: &NetworkName) -> Result<Option<Self>, Error> {
        let path = data_dir.join(network.as_str());
        loop {
            // Not "is it a directory": what cannot be reached is an error, not an absence.
            match fs::metadata(&path) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(failed("looking for the lease directory", &path, &e)),
            }
            if let Some(directory) = Self::lock(&path)? {
                return Ok(Some(directory));
            }
        }
    }

    /// None when the directory, or the lock, was removed while we waited for it.
    fn lock(path: &Path) -> Result<Option<Self>, Error> {
        let lock_path = path.join("lock");
        let open = || {
            // 0750 is what the reference gives it.
            let mut options = OpenOptions::new();
            options.read(true).mode(0o750);
            match regular::open(&mut options, &lock_path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    fault::point("make the lock")?;
                    options.write(true).create(true).truncate(false);
                    regular::open(&mut options, &lock_path)
                }
                other => other,
            }
        };
        let lock = match open() {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("opening the lock", &lock_path, &e)),
        };
        lock.lock().map_err(|e| failed("locking", &lock_path, &e))?;
        let ours = lock.metadata().map_err(|e| failed("looking at", &lock_path, &e))?;
        match fs::metadata(&lock_path) {
            Ok(now) if (now.dev(), now.ino()) == (ours.dev(), ours.ino()) => {}
            _ => return Ok(None),
        }
        let handle = File::open(path).map_err(|e| failed("opening", path, &e))?;
        Ok(Some(Self { path: path.to_owned(), handle, _lock: lock }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its inode says now.
    pub fn stamp(&self) -> io::Result<Stamp> {
        let meta = self.handle.metadata()?;
        Ok(Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    /// Sets the time of modification two seconds back, so that it differs from the time of change
    /// also where a file system keeps whole seconds. Returns what the inode says then.
    pub fn mark(&self) -> io::Result<Stamp> {
        fault::point("mark the lease directory")?;
        let now = SystemTime::now();
        let past = now.checked_sub(Duration::from_secs(2)).unwrap_or(now);
        self.handle.set_times(FileTimes::new().set_modified(past))?;
        let stamp = self.stamp()?;
        if stamp.modified == stamp.changed {
            return Err(io::Error::other("the file system does not keep times of modification"));
        }
        Ok(stamp)
    }

    /// What the file of `address` says.
    pub fn content(&self, address: IpAddr) -> Result<Content, Error> {
        content_of(&self.lease_path(address))
    }

    /// Makes the file of `address`; false when there is one.
    pub fn write_lease(&self, address: IpAddr, attachment: &Attachment) -> Result<bool, Error> {
        let path = self.lease_path(address);
        let unfinished = self.path.join(UNFINISHED);
        let written = write_new(&unfinished, &Holder::bytes(attachment))
            .and_then(|()| rename_to_free(&unfinished, &path));
        match written {
            Ok(()) => Ok(true),
            Err(e) => {
                let _ = fs::remove_file(&unfinished);
                if e.kind() == io::ErrorKind::AlreadyExists {
                    return Ok(false);
                }
                Err(failed("writing the lease", &path, &e))
            }
        }
    }

    /// Removes the file of `address`.
    pub fn remove_lease(&self, address: IpAddr) -> Result<(), Error> {
        remove(&self.lease_path(address))
    }

    /// The address that range set `number` gave last. None when the file is missing or torn.
    pub fn last_reserved(&self, number: usize) -> Option<IpAddr> {
        let path = self.last_reserved_path(number);
        let file = regular::open(OpenOptions::new().read(true), &path).ok()?;
        let mut text = String::new();
        file.take(128).read_to_string(&mut text).ok()?;
        text.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }

    /// Notes the address that range set `number` gave last.
    pub fn remember(&self, number: usize, address: IpAddr) -> io::Result<()> {
        overwrite(
            &self.last_reserved_path(number),
            address.to_string().as_bytes(),
            "note the last address",
        )
    }

    fn lease_path(&self, address: IpAddr) -> PathBuf {
        self.path.join(address.to_string())
    }

    fn last_reserved_path(&self, number: usize) -> PathBuf {
        self.path.join(format!("last_reserved_ip.{number}"))
    }
}

/// What the file at `path` says.
pub fn content_of(path: &Path) -> Result<Content, Error> {
    let mut bytes = Vec::with_capacity(128);
    let read = regular::open(OpenOptions::new().read(true), path)
        .and_then(|file| file.take(4096).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Content::of(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Content::Missing),
        // Whatever it is, it is in the way of a lease, and not ours to remove.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(Content::Held(Holder { container: format!("unknown: {e}"), ifname: None }))
        }
        Err(e) => Err(failed("reading the lease", path, &e)),
    }
}

/// Removes the file at `path`, if it is there.
pub fn remove(path: &Path) -> Result<(), Error> {
    let removed = fault::point("remove a lease").and_then(|()| fs::remove_file(path));
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(failed("removing the lease", path, &e))
        }
        _ => Ok(()),
    }
}

/// Writes a file that is not there yet. One that a killed process left is removed first and never
/// written to: it may be a second link to a lease.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fault::point("write a lease")?;
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match create() {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        other => other?,
    };
    file.write_all(bytes)
}

/// Gives a file its final name, unless that is taken: a second link, of which the first is removed.
/// (A rename that refuses to replace is not to be had on every file system.)
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    fault::point("name a lease")?;
    fs::hard_link(from, to)?;
    let _ = fs::remove_file(from);
    Ok(())
}

/// The error of an operation on a file.
pub fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => Code::TRY_AGAIN,
        _ => Code::IO,
    };
    let mend = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on its file system",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "ipam.dataDir must name a place that this user can write to"
        }
        io::ErrorKind::NotADirectory => "ipam.dataDir must name a directory",
        _ => "",
    };
    Error::new(code, format!("{doing} {}: {error}", path.display())).details(mend)
}
