//! Who has a device, from the records of `sriov` and `host-device`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cni::{Code, Error};
use devices::{Device, DeviceId};
use serde::{Deserialize, Serialize};

use super::holders::Process;

/// The plugins' `stateDir` when it is not set.
pub const DEFAULT_DIRECTORY: &str = "/var/lib/cni/podwire/devices";

/// Far more than a record has.
const LONGEST: u64 = 1 << 20;

/// The container that a device was handed to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub plugin: String,
    pub network: String,
    pub container: String,
    /// The interface's name in the container.
    pub ifname: String,
    pub netns: PathBuf,
    /// `taken`, `ready` or `releasing`.
    pub phase: String,
    /// The record speaks of another boot, or of a device that was removed and made anew since: the next
    /// ADD drops it.
    pub stale: bool,
    /// Who lives in the container's network namespace.
    pub processes: Vec<Process>,
}

/// What is read of a record; the plugins write more.
#[derive(Deserialize)]
struct Record {
    plugin: String,
    owner: RecordedOwner,
    boot: String,
    incarnation: u64,
    phase: String,
}

#[derive(Deserialize)]
struct RecordedOwner {
    network: String,
    container: String,
    ifname: String,
    netns: PathBuf,
}

/// The records of a node.
#[derive(Default)]
pub struct Records {
    boot: Option<String>,
    all: BTreeMap<DeviceId, Record>,
}

impl Records {
    /// Those in a directory, which nobody has made before the first device is handed over. What cannot
    /// be read is a note.
    pub fn read(directory: &Path, notes: &mut Vec<Error>) -> Self {
        let mut records = Self { boot: kernel::boot_id().ok(), ..Self::default() };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return records,
            Err(e) => {
                notes.push(unreadable(directory, &e).while_("owners are not known"));
                return records;
            }
        };
        for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            let Some(id) = name.strip_suffix(".json").and_then(id) else { continue };
            match record(&directory.join(&name)) {
                Ok(record) => records.all.extend(record.map(|record| (id, record))),
                Err(e) => notes.push(e),
            }
        }
        records
    }

    /// Takes out who has a device.
    pub fn take(&mut self, id: &DeviceId, device: Option<&Device>) -> Option<Owner> {
        let record = self.all.remove(id)?;
        Some(record.owner(self.boot.as_deref(), device))
    }

    /// Those that are left.
    pub fn rest(self) -> impl Iterator<Item = (DeviceId, Owner)> {
        let boot = self.boot;
        self.all.into_iter().map(move |(id, record)| (id, record.owner(boot.as_deref(), None)))
    }
}

impl Record {
    fn owner(self, boot: Option<&str>, device: Option<&Device>) -> Owner {
        let rebooted = boot.is_some_and(|boot| boot != self.boot);
        let made_anew = device.is_some_and(|device| device.incarnation != self.incarnation);
        Owner {
            plugin: self.plugin,
            network: self.owner.network,
            container: self.owner.container,
            ifname: self.owner.ifname,
            netns: self.owner.netns,
            phase: self.phase,
            stale: rebooted || made_anew,
            processes: Vec::new(),
        }
    }
}

/// `pci-0000:01:10.0` as [`DeviceId::file_name`] writes it.
fn id(name: &str) -> Option<DeviceId> {
    let id = DeviceId::try_from(name.replacen('-', ":", 1)).ok()?;
    (id.file_name() == name).then_some(id)
}

/// A record; `None` when it has just been removed.
fn record(path: &Path) -> Result<Option<Record>, Error> {
    // A link or a FIFO in its place is not the plugins' and is not opened.
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(damaged(path, "it is not a regular file")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(path, &e)),
    }
    let mut text = Vec::new();
    match File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(path, &e)),
    }
    serde_json::from_slice(&text).map(Some).map_err(|e| damaged(path, &e.to_string()))
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Code::DECODE, format!("{} is not a record: {why}", path.display()))
        .details("the device's owner is not known")
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied => "this needs to be run as root",
        _ => "it is the stateDir of sriov and host-device (--state-dir)",
    };
    Error::new(Code::IO, format!("read {}: {error}", path.display())).details(mend)
}
