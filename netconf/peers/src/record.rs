//! What was made last, so that the next ADD need not compare everything again.
//!
//! The record is a cache of a conclusion: "with this fleet, these options and these links, the
//! kernel had all of the plan". It is taken back before anything is changed and made again
//! afterwards, so a process that is killed half-way leaves none, and it holds for the network
//! namespace that it was made in. A boot empties the directory; nothing needs to outlive it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cni::{Code, Error, Json, NetworkName};
use ipnetwork::IpNetwork;
use kernel::link::Link;
use kernel::{Lock, Netns, durable, regular};
use serde::{Deserialize, Serialize};

use crate::Fault;

/// Of this form.
const VERSION: u32 = 1;
/// How long the lock is waited for. A comparison with thousands of peers takes half a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record is not larger; it grows by a line for each peer that is not served.
const LARGEST: u64 = 4 << 20;

/// The record of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of which form it is.
    pub version: u32,
    /// The network.
    pub network: String,
    /// The network namespace that it was made in.
    pub netns: u64,
    /// The protocol number of its routes.
    pub protocol: u8,
    /// Other protocol numbers that its routes may bear, because they did before and what replaced them did not
    /// end.
    #[serde(default)]
    pub former: Vec<u8>,
    /// What the conclusion was drawn from; `None` while it does not hold.
    pub settled: Option<Settled>,
    /// What bounds our routes: the cluster's networks, of this time and of the one before where
    /// that did not end.
    pub domain: Vec<IpNetwork>,
    /// The tunnel devices that were made.
    pub devices: Vec<String>,
    /// Those of them that somebody else had made.
    #[serde(default)]
    pub adopted: Vec<Adopted>,
}

/// A device that somebody else made and we took over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Its name.
    pub name: String,
    /// Its index: one that is made anew under that name is ours.
    pub index: u32,
}

impl Adopted {
    /// True for the device itself.
    pub fn is(&self, link: &Link) -> bool {
        (self.name.as_str(), self.index) == (link.name.as_str(), link.index)
    }
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
    /// The record in a state directory. One that is missing or damaged is an empty one.
    pub fn read(state: &Path) -> Self {
        let record = read(&path(state)).and_then(|text| {
            let tree = Json::parse(&text, "the record").ok()?;
            tree.decode::<Self>().ok()
        });
        record.filter(|record| record.version == VERSION).unwrap_or_default()
    }

    /// An empty record of a network.
    pub fn of(network: &NetworkName, protocol: u8) -> kernel::Result<Self> {
        Ok(Self {
            version: VERSION,
            network: network.to_string(),
            netns: Netns::own_number()?,
            protocol,
            ..Self::default()
        })
    }

    /// The records of other networks whose routes cannot be told from this one's but by where they
    /// lead. Their state directories are those beside this one's.
    pub fn rivals(&self, state: &Path) -> Vec<Self> {
        let beside = state.parent().and_then(|parent| fs::read_dir(parent).ok());
        let others = beside.into_iter().flatten().flatten().map(|entry| Self::read(&entry.path()));
        others
            .filter(|other| other.version == VERSION && other.network != self.network)
            .filter(|other| other.netns == self.netns && other.protocol == self.protocol)
            .collect()
    }

    /// Writes it, whole or not at all. Code 5.
    pub fn write(&self, state: &Path) -> Result<(), Error> {
        let path = path(state);
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        text.and_then(|text| durable::replace(&path, &text)).map_err(|e| failed("write", &path, &e))
    }
}

/// Locks the state directory, making it where it is missing. Code 5 or 11.
pub fn lock(state: &Path) -> Result<Lock, Error> {
    Lock::take("stateDir", &state.join("lock"), 0o755, PATIENCE)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = regular::open(File::options().read(true), path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Where the record is.
pub fn path(state: &Path) -> PathBuf {
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
        let record = Record {
            settled: Some(settled),
            domain: vec!["10.0.0.0/8".parse().unwrap()],
            devices: vec!["vxlan.1".to_owned()],
            ..Record::of(&"pods".parse().unwrap(), 112).unwrap()
        };
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
    fn rivals_are_other_networks_under_the_same_number_in_the_same_namespace() {
        let run = tempfile::tempdir().unwrap();
        let write = |network: &str, protocol, netns| {
            let name = network.parse().unwrap();
            let record = Record { netns, ..Record::of(&name, protocol).unwrap() };
            fs::create_dir(run.path().join(network)).unwrap();
            record.write(&run.path().join(network)).unwrap();
            record
        };
        let own = write("own", 112, 7);
        write("other-number", 113, 7);
        write("other-namespace", 112, 8);
        fs::write(run.path().join("file"), "").unwrap();
        let rival = write("rival", 112, 7);
        assert_eq!(own.rivals(&run.path().join("own")), [rival]);
    }

    #[test]
    fn the_lock_makes_its_directory_and_says_where_it_cannot() {
        let state = tempfile::tempdir().unwrap();
        let deep = state.path().join("a/b");
        drop(lock(&deep).unwrap());
        drop(lock(&deep).unwrap());
        let error = lock(&deep.join("lock/c")).unwrap_err();
        assert!(error.msg.contains("lock/c"), "{error}");
    }
}
