//! Records of links that were made, so that GC finds those of containers that it is told nothing
//! of: in namespaces that still stand, because somebody holds them open.
//!
//! A record is written before the link is made and removed after it is gone. It lives as long as
//! the boot, as the namespaces do.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cni::{Attachment, Code, Error, Json, NetConf, NetworkName};
use kernel::{Netns, durable, regular};
use serde::Deserialize;

use crate::owner;

/// Where records are when `stateDir` is not set.
const DEFAULT_DIRECTORY: &str = "/run/podwire/links";
/// Records have some 300 bytes, and names of any length.
const LONGEST: u64 = 1 << 20;
/// The mode of the directory.
const DIRECTORY_MODE: u32 = 0o700;

/// The records of a node.
#[derive(Clone, Debug)]
pub struct Records(PathBuf);

/// What is known of a link before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The attachment's network.
    pub network: NetworkName,
    /// Its container.
    pub container: cni::ContainerId,
    /// The link's name.
    pub ifname: cni::IfName,
    /// The kernel's word for the link's kind.
    pub kind: String,
    /// Where the link's namespace was found.
    pub netns: PathBuf,
    /// That namespace, and no other one that is at the path later.
    pub cookie: u64,
}

impl Records {
    /// Where a configuration has them: `stateDir`. Code 7 when that is no absolute path.
    pub fn of(conf: &NetConf) -> Result<Self, Error> {
        let records = Self::configured(conf)?;
        if !records.0.is_absolute() {
            let directory = records.0.display();
            return Err(Error::config("stateDir", directory, "not an absolute path"));
        }
        Ok(records)
    }

    /// The same for a DEL, which takes no offence.
    pub fn or_default(conf: &NetConf) -> Self {
        Self::of(conf).unwrap_or_else(|_| Self(PathBuf::from(DEFAULT_DIRECTORY)))
    }

    fn configured(conf: &NetConf) -> Result<Self, Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Raw {
            state_dir: String,
        }
        let raw: Raw = conf.decode()?;
        let text = if raw.state_dir.is_empty() { DEFAULT_DIRECTORY } else { &raw.state_dir };
        Ok(Self(PathBuf::from(text)))
    }

    /// Writes one. Code 5.
    pub fn write(&self, record: &Record) -> Result<(), Error> {
        let path = self.path(&record.attachment());
        let text = record.print();
        let outcome = match durable::replace(&path, text.as_bytes()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_directory()?;
                durable::replace(&path, text.as_bytes())
            }
            other => other,
        };
        outcome.map_err(|e| failed("write", &path, &e))
    }

    /// Reads that of an attachment; `None` when there is none, or none that can be read.
    pub fn read(&self, attachment: &Attachment) -> Option<Record> {
        read(&self.path(attachment)).filter(|record| record.attachment() == *attachment)
    }

    /// Removes that of an attachment, if there is one. Code 5.
    pub fn discard(&self, attachment: &Attachment) -> Result<(), Error> {
        let path = self.path(attachment);
        durable::discard(&path).map(drop).map_err(|e| failed("remove", &path, &e))
    }

    /// All of a network. Code 5.
    pub fn list(&self, network: &NetworkName) -> Result<Vec<Record>, Error> {
        let prefix = owner::record_prefix(network);
        let entries = match fs::read_dir(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| failed("read", &self.0, &e))?,
        };
        let ours = entries.flatten().filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix))
        });
        let records = ours.filter_map(|entry| read(&entry.path()));
        Ok(records.filter(|record| record.network == *network).collect())
    }

    /// Says whether records could be written. Code 5.
    pub fn try_writing(&self) -> Result<(), Error> {
        self.make_directory()?;
        let probe = self.0.join(".probe");
        durable::replace(&probe, b"\n")
            .and_then(|()| durable::discard(&probe))
            .map(drop)
            .map_err(|e| failed("write", &probe, &e))
    }

    fn make_directory(&self) -> Result<(), Error> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&self.0)
            .map_err(|e| failed("make the directory", &self.0, &e))
    }

    fn path(&self, attachment: &Attachment) -> PathBuf {
        self.0.join(owner::record_name(attachment))
    }
}

impl Record {
    /// That of an attachment, to be made in a namespace.
    pub fn new(attachment: &Attachment, netns: &Netns, kind: &str) -> kernel::Result<Self> {
        let Attachment { network, container, ifname } = attachment.clone();
        let (path, cookie) = (netns.path().to_owned(), netns.cookie()?);
        Ok(Self { network, container, ifname, kind: kind.to_owned(), netns: path, cookie })
    }

    /// What was attached.
    pub fn attachment(&self) -> Attachment {
        Attachment {
            network: self.network.clone(),
            container: self.container.clone(),
            ifname: self.ifname.clone(),
        }
    }

    /// The namespace, `None` when it is gone: another one may be at its path.
    pub fn namespace(&self) -> kernel::Result<Option<Netns>> {
        match Netns::find(&self.netns)? {
            Some(netns) if netns.cookie()? == self.cookie => Ok(Some(netns)),
            _ => Ok(None),
        }
    }

    fn print(&self) -> String {
        let members = [
            ("network", self.network.as_str().into()),
            ("container", self.container.as_str().into()),
            ("ifname", self.ifname.as_str().into()),
            ("kind", self.kind.as_str().into()),
            ("netns", self.netns.to_string_lossy().into_owned().into()),
            ("cookie", Json::from(self.cookie)),
        ];
        Json::Object(members.map(|(key, value)| (key.to_owned(), value)).into()).compact()
    }
}

fn read(path: &Path) -> Option<Record> {
    let mut text = Vec::new();
    let file = regular::open(File::options().read(true), path).ok()?;
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    Json::parse(&text, "the record").ok()?.decode().ok()
}

fn failed(what: &str, path: &Path, e: &io::Error) -> Error {
    Error::new(Code::IO, format!("stateDir: {what} {}: {e}", path.display()))
}
