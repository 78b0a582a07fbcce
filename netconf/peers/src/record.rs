//! What was made last, so that the next ADD need not compare everything again.
//!
//! The record is a cache of a conclusion: "with this fleet, these options and these links, the
//! kernel had all of the plan". It is taken back before anything is changed and made again
//! afterwards, so a process that is killed half-way leaves none, and it holds for the network
//! namespace that it was made in. A boot empties the directory; nothing needs to outlive it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use cni::{Code, Error, Json};
use ipnetwork::IpNetwork;
use kernel::{fault, regular};
use serde::{Deserialize, Serialize};

use crate::Fault;

/// Of this form.
const VERSION: u32 = 1;

/// A record is not larger; it grows by a line for each peer that is not served.
const LARGEST: u64 = 4 << 20;

/// The record of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// What the conclusion was drawn from; `None` while it does not hold.
    pub settled: Option<Settled>,
    /// What bounds our routes: the cluster's networks, of this time and of the one before where
    /// that did not end.
    pub domain: Vec<IpNetwork>,
    /// The tunnel devices that were made.
    pub devices: Vec<String>,
}

/// The conclusion and what it was drawn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// A digest of the options, of what the caller adds, of the description of the fleet and of the
    /// network namespace.
    pub key: String,
    /// What the kernel answered.
    pub sights: Vec<Sight>,
    /// The pods' MTU in bytes.
    pub mtu: u32,
    /// The local pods' networks.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Peers that are not served, and why.
    pub faults: Vec<Fault>,
}

/// A look at the kernel, and what was seen, in words that change when anything of it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The index of a link that was looked at.
    pub link: Option<u32>,
    /// The address whose route was looked up.
    pub route: Option<IpAddr>,
    /// What was seen.
    pub seen: String,
}

impl Record {
    /// A record of that content.
    pub fn new(settled: Option<Settled>, domain: Vec<IpNetwork>, devices: Vec<String>) -> Self {
        Self { version: VERSION, settled, domain, devices }
    }

    /// The record in a state directory. One that is missing or damaged is an empty one.
    pub fn read(state: &Path) -> Self {
        let record = read(&path(state)).and_then(|text| {
            let tree = Json::parse(&text, "the record").ok()?;
            tree.decode::<Self>().ok()
        });
        record.filter(|record| record.version == VERSION).unwrap_or_default()
    }

    /// Writes it, whole or not at all. Code 5.
    pub fn write(&self, state: &Path) -> Result<(), Error> {
        let path = path(state);
        let unfinished = state.join(".record.json");
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        fault::point("write the record")
            .and(text)
            .and_then(|text| {
                let mut new = File::options();
                let new = new.create(true).truncate(true).write(true);
                regular::open(new, &unfinished)?.write_all(&text)
            })
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|e| failed("write", &path, &e))
    }
}

/// The state directory, locked as long as the value lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Waits for the lock, making the directory where it is missing. Code 5.
    pub fn take(state: &Path) -> Result<Self, Error> {
        let path = state.join("lock");
        fault::point("lock the state directory")
            .and_then(|()| DirBuilder::new().recursive(true).mode(0o755).create(state))
            .map_err(|e| failed("make the directory", state, &e))?;
        let opened = regular::open(File::options().create(true).truncate(false).write(true), &path);
        let file = opened.map_err(|e| failed("open", &path, &e))?;
        file.lock().map_err(|e| failed("lock", &path, &e))?;
        Ok(Self(file))
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = regular::open(File::options().read(true), path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(text)
}

fn path(state: &Path) -> PathBuf {
    state.join("record.json")
}

fn failed(what: &str, path: &Path, e: &io::Error) -> Error {
    Error::new(Code::IO, format!("stateDir: {what} {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_nothing() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(state.path()), Record::default());
        let sight = Sight { link: Some(3), route: None, seen: "up".to_owned() };
        let settled = Settled {
            key: "k".to_owned(),
            sights: vec![sight],
            mtu: 1450,
            pod_cidrs: vec!["10.1.0.0/24".parse().unwrap()],
            faults: vec![Fault { peer: "n2".to_owned(), reason: "gone".to_owned() }],
        };
        let domain = vec!["10.0.0.0/8".parse().unwrap()];
        let record = Record::new(Some(settled), domain, vec!["vxlan.1".to_owned()]);
        record.write(state.path()).unwrap();
        assert_eq!(Record::read(state.path()), record);
        let whole = fs::read(path(state.path())).unwrap();
        for length in 0..whole.len() {
            fs::write(path(state.path()), whole.get(..length).unwrap()).unwrap();
            assert_eq!(Record::read(state.path()), Record::default());
        }
        fs::write(path(state.path()), br#"{"version": 2, "domain": [], "devices": []}"#).unwrap();
        assert_eq!(Record::read(state.path()), Record::default());
    }

    #[test]
    fn the_lock_makes_its_directory_and_says_where_it_cannot() {
        let state = tempfile::tempdir().unwrap();
        let deep = state.path().join("a/b");
        drop(Lock::take(&deep).unwrap());
        drop(Lock::take(&deep).unwrap());
        let error = Lock::take(&deep.join("lock/c")).unwrap_err();
        assert!(error.msg.contains("lock/c"), "{error}");
    }
}
