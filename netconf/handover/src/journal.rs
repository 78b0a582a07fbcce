//! The journal: a file per device that is handed over, and the locks.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cni::{Code, Error, NetConf};
use devices::{DeviceId, PciAddress};
use kernel::{Lock, durable};
use nix::unistd::geteuid;
use serde::Deserialize;

use crate::record::{Record, VERSION, parse_id};

/// Where the journal is when `stateDir` is not set.
const DEFAULT_DIRECTORY: &str = "/var/lib/cni/podwire/devices";
/// How long a lock is waited for when `lockTimeout` is not set, in seconds.
const DEFAULT_PATIENCE: u64 = 60;
/// The longest record that is read. They have about 2 kB.
const LONGEST: u64 = 1 << 20;
/// More than records have that carry no routes.
const TYPICAL: usize = 4096;
/// The mode of the directory.
const DIRECTORY_MODE: u32 = 0o700;
/// Whoever else may write to the directory could have any device given away or reset.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The journal of a node.
#[derive(Clone, Debug)]
pub struct Journal {
    directory: PathBuf,
    patience: Duration,
}

/// What the journal has of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing: it was not handed over.
    Nothing,
    /// A record.
    Whole(Box<Record>),
    /// A file that is no record, and why. Records are written beside their place first, so somebody
    /// else did that.
    Damaged(String),
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    state_dir: Option<String>,
    lock_timeout: Option<u64>,
}

impl Journal {
    /// The journal that a configuration means: `stateDir`, `lockTimeout`. Code 7 for a directory that is
    /// not absolute, is none, or that others may write to.
    pub fn of(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let text = raw.state_dir.as_deref().filter(|text| !text.is_empty());
        let directory = PathBuf::from(text.unwrap_or(DEFAULT_DIRECTORY));
        let journal = Self {
            directory,
            patience: Duration::from_secs(raw.lock_timeout.unwrap_or(DEFAULT_PATIENCE)),
        };
        journal.examine()?;
        Ok(journal)
    }

    fn examine(&self) -> Result<(), Error> {
        let bad = |why: &str| {
            Err(Error::config("stateDir", format_args!("{:?}", self.directory.display()), why))
        };
        if !self.directory.is_absolute() {
            return bad("not an absolute path");
        }
        match fs::metadata(&self.directory) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(self.failed("examine", &self.directory, &e)),
            Ok(found) if !found.is_dir() => bad("not a directory"),
            Ok(found) if found.permissions().mode() & WRITABLE_BY_OTHERS != 0 => {
                bad("others than its owner may write to it; chmod 700")
            }
            Ok(found) if ![0, geteuid().as_raw()].contains(&found.uid()) => {
                bad("it is another user's; chown root")
            }
            Ok(_) => Ok(()),
        }
    }

    /// Says whether records could be written, by writing a file as large as one.
    pub fn try_writing(&self) -> Result<(), Error> {
        self.make_directory()?;
        let probe = self.directory.join(".probe");
        durable::write(&probe, &[b'\n'; TYPICAL])
            .and_then(|()| durable::remove(&probe))
            .map_err(|e| self.failed("write", &probe, &e))
    }

    fn make_directory(&self) -> Result<(), Error> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&self.directory)
            .map_err(|e| self.failed("make the directory", &self.directory, &e))
    }

    /// Locks a device. `who` is what another process that waits in vain is told. Code 11 when the
    /// device is locked all the time.
    pub fn lock(&self, id: &DeviceId, who: &str) -> Result<Lock, Error> {
        self.lock_within(&id.file_name(), who, self.patience)
    }

    /// Locks a physical function: after the device's own lock, and only around the requests.
    pub fn lock_pf(&self, pf: PciAddress, who: &str) -> Result<Lock, Error> {
        self.lock_within(&format!("pf-{pf}"), who, self.patience)
    }

    fn lock_within(&self, name: &str, who: &str, patience: Duration) -> Result<Lock, Error> {
        let path = self.directory.join(format!("{name}.lock"));
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            let e = io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link");
            return Err(self.failed("lock", &path, &e));
        }
        let lock = Lock::take("stateDir", &path, DIRECTORY_MODE, patience).map_err(|e| {
            if e.code != Code::TRY_AGAIN {
                return e;
            }
            // What is no file, a FIFO say, would keep a reader for ever.
            let holder = read(&path).unwrap_or_default();
            let holder = String::from_utf8_lossy(&holder);
            if holder.is_empty() {
                return e;
            }
            e.details(format!("it is held by {}", holder.trim_end()))
        })?;
        // For people who wait; nothing depends on it.
        let _ = fs::write(&path, format!("process {}: {who}\n", std::process::id()));
        Ok(lock)
    }

    /// What there is of a device.
    pub fn read(&self, id: &DeviceId) -> Result<Entry, Error> {
        let path = self.path(id);
        let text = match read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Entry::Nothing),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                return Ok(Entry::Damaged(format!("{}: {e}", path.display())));
            }
            Err(e) => return Err(self.failed("read", &path, &e)),
        };
        Ok(match understand(&text, id) {
            Ok(record) => Entry::Whole(Box::new(record)),
            Err(why) => Entry::Damaged(format!("{}: {why}", path.display())),
        })
    }

    /// Writes a record: when this returns, it survives a loss of power.
    pub fn write(&self, record: &Record) -> Result<(), Error> {
        let path = self.path(&record.device);
        let mut text = serde_json::to_vec_pretty(record)
            .map_err(|e| Error::new(Code::INTERNAL, format!("{}: {e}", path.display())))?;
        text.push(b'\n');
        durable::write(&path, &text).map_err(|e| {
            let _ = fs::remove_file(self.beside(&record.device.file_name()));
            self.failed("write", &path, &e)
        })
    }

    /// Removes a device's record.
    pub fn remove(&self, id: &DeviceId) -> Result<(), Error> {
        let path = self.path(id);
        durable::remove(&path).map_err(|e| self.failed("remove", &path, &e))
    }

    /// Every device that the journal has something of, sorted. What a writer that was killed left
    /// beside its place is removed, unless another writer is at it.
    pub fn list(&self) -> Result<Vec<DeviceId>, Error> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed("list", &self.directory, &e)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| self.failed("list", &self.directory, &e))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let unfinished = name.strip_prefix('.').and_then(|name| name.strip_suffix(".json.new"));
            if let Some(name) = unfinished {
                if parse_id(name).is_some()
                    && let Ok(_lock) = self.lock_within(name, "cleaning up", Duration::ZERO)
                {
                    let _ = fs::remove_file(self.beside(name));
                }
            } else if let Some(id) = name.strip_suffix(".json").and_then(parse_id) {
                all.push(id);
            }
        }
        all.sort();
        Ok(all)
    }

    fn path(&self, id: &DeviceId) -> PathBuf {
        self.directory.join(format!("{}.json", id.file_name()))
    }

    /// Where [`durable::write`] writes before.
    fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(format!(".{name}.json.new"))
    }

    #[expect(clippy::unused_self, reason = "an error of the journal, which may come to say more")]
    fn failed(&self, what: &str, path: &Path, e: &io::Error) -> Error {
        Error::new(Code::IO, format!("stateDir: {what} {}: {e}", path.display()))
    }
}

/// Reads a file, which must be a regular one and no link.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let not = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => return Err(not("a symbolic link")),
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => return Err(not("not a regular file")),
        other => other?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(not("not a regular file"));
    }
    if found.len() > LONGEST {
        return Err(not("too long for a record"));
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// The record in a file's text, or what is wrong with it.
fn understand(text: &[u8], id: &DeviceId) -> Result<Record, String> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let head: Head = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if head.version != VERSION {
        return Err(format!("its version is {}, known is {VERSION}", head.version));
    }
    let record: Record = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if record.device != *id {
        return Err(format!("it is the record of {}", record.device));
    }
    record.is_possible().map(|()| record)
}
