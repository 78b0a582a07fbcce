//! A directory with a file for each node, and `cluster.json` for what is common to all.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cni::{Code, Error, Json};
use peers::Fault;

use super::super::Snapshot;
use super::read;

/// `version` and `clusterCIDRs`.
const COMMON: &str = "cluster.json";
/// A file that was written so short a time ago may be written again without its times telling.
const FRESH: Duration = Duration::from_millis(100);

/// What each file said when it could be read last.
#[derive(Debug, Default)]
pub struct Directory {
    nodes: BTreeMap<String, Known>,
}

/// A node's file.
#[derive(Debug)]
struct Known {
    /// What it is known again by; `None` where it has to be read again.
    stamp: Option<Stamp>,
    /// Its entry, as it goes into the fleet.
    text: String,
}

/// Device, inode, size, and when the content and the inode were changed.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Directory {
    /// Reads all files that may have changed. What one of them said last holds while it cannot be read, and
    /// is forgotten when it is gone.
    pub fn read(&mut self, path: &Path, node: &str, what: &str) -> Result<Snapshot, Error> {
        let common = read::whole(&path.join(COMMON))
            .map_err(|e| read::failed(&format!("{what}/{COMMON}"), &e))?;
        let mut common = Json::parse(&common, &format!("{what}/{COMMON}"))?;
        let mut faults = Vec::new();
        let mut nodes = BTreeMap::new();
        for stem in stems(path).map_err(|e| read::failed(what, &e))? {
            let last = self.nodes.remove(&stem);
            match entry(path, &stem, last.as_ref().and_then(|last| last.stamp.as_ref())) {
                Ok(Found::Same) => nodes.extend(last.map(|last| (stem, last))),
                Ok(Found::Anew(known)) => {
                    nodes.insert(stem, known);
                }
                // It went while the directory was listed.
                Ok(Found::Nothing) => {}
                Err(error) => {
                    let last = last.map(|last| Known { stamp: None, ..last });
                    nodes.extend(last.map(|last| (stem.clone(), last)));
                    faults.push(Fault { peer: stem, reason: error.to_string() });
                }
            }
        }
        self.nodes = nodes;
        let snapshot = Snapshot::seen_from(self.fleet(&mut common).as_bytes(), node, what)?;
        Ok(Snapshot { faults, ..snapshot })
    }

    /// The fleet that the files make together.
    fn fleet(&self, common: &mut Json) -> String {
        let entries: Vec<&str> = self.nodes.values().map(|known| known.text.as_str()).collect();
        // Under one spelling, and then not at all.
        common.set("peers", Json::Null);
        if let Json::Object(members) = common {
            members.retain(|(key, _)| key != "peers");
        }
        let head = common.to_string();
        match head.strip_suffix('}') {
            Some("{") => format!("{{\"peers\":[{}]}}", entries.join(",")),
            Some(open) => format!("{open},\"peers\":[{}]}}", entries.join(",")),
            // What is no object is named as it is.
            None => head,
        }
    }
}

/// The names of the nodes' files less `.json`, sorted. Those that begin with a dot are being written.
fn stems(path: &Path) -> io::Result<Vec<String>> {
    let mut stems = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".json").filter(|stem| !stem.is_empty());
        if let Some(stem) = stem.filter(|_| !name.starts_with('.') && name != COMMON) {
            stems.push(stem.to_owned());
        }
    }
    stems.sort();
    Ok(stems)
}

/// What a node's file is.
enum Found {
    /// What it was.
    Same,
    Anew(Known),
    Nothing,
}

/// A node's entry; its name is the file's where it says none.
fn entry(path: &Path, stem: &str, known: Option<&Stamp>) -> Result<Found, Error> {
    let name = format!("{stem}.json");
    let path = path.join(&name);
    let failed = |e: &io::Error| Error::new(Code::IO, format!("{name}: {e}"));
    // Before it is read: what it becomes later shows.
    let stamp = match fs::metadata(&path) {
        Ok(about) if known.is_some_and(|known| *known == stamp(&about)) => return Ok(Found::Same),
        Ok(about) => stamp_once_rested(&about),
        Err(e) if e.kind() == ErrorKind::NotFound && !path.is_symlink() => {
            return Ok(Found::Nothing);
        }
        // A link that leads nowhere is none that was removed.
        Err(e) => return Err(failed(&e)),
    };
    let text = match read::whole(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound && !path.is_symlink() => {
            return Ok(Found::Nothing);
        }
        Err(e) => return Err(failed(&e)),
    };
    let mut entry = Json::parse(&text, &name)?;
    if !matches!(entry, Json::Object(_)) {
        return Err(Error::new(Code::DECODE, format!("{name}: must be an object")));
    }
    if entry.get("name").is_none() {
        entry.set("name", Json::from(stem));
    }
    Ok(Found::Anew(Known { stamp, text: entry.to_string() }))
}

fn stamp(about: &Metadata) -> Stamp {
    let modified = (about.mtime(), about.mtime_nsec());
    (about.dev(), about.ino(), about.size(), modified, (about.ctime(), about.ctime_nsec()))
}

/// Nothing for a file whose next change need not show.
fn stamp_once_rested(about: &Metadata) -> Option<Stamp> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let changed = Duration::new(
        u64::try_from(about.ctime()).unwrap_or_default(),
        u32::try_from(about.ctime_nsec()).unwrap_or_default(),
    );
    now.checked_sub(changed).filter(|age| *age > FRESH).map(|_| stamp(about))
}

#[cfg(test)]
mod tests {
    use peers::Fleet;

    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_leaves_the_others_and_its_own_last_words() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        let node =
            |n: u8| format!(r#"{{"podCIDRs": ["10.1.{n}.0/24"], "nodeIPs": ["192.0.2.{n}"]}}"#);
        let mut directory = Directory::default();
        let mut read = || directory.read(home.path(), "n1", "fleet");
        assert!(read().unwrap_err().msg.contains("cluster.json"));
        write("cluster.json", r#"{"version": 1, "clusterCIDRs": ["10.1.0.0/16"]}"#);
        write(".n9.json", "being written");
        write("README", "no node");
        for n in 1..4 {
            write(&format!("n{n}.json"), &node(n));
        }
        let peers = |snapshot: &Snapshot| -> Vec<String> {
            let fleet = Fleet::parse(&snapshot.text, "fleet").unwrap();
            assert_eq!(fleet.local.name, "n1");
            fleet.peers.into_iter().map(|peer| peer.name).collect()
        };
        let snapshot = read().unwrap();
        assert_eq!(peers(&snapshot), ["n2", "n3"]);
        assert_eq!(snapshot.faults, []);
        write("n2.json", &node(2)[..20]);
        write("n4.json", "[]");
        let snapshot = read().unwrap();
        assert_eq!(peers(&snapshot), ["n2", "n3"]);
        let named: Vec<&str> = snapshot.faults.iter().map(|fault| fault.peer.as_str()).collect();
        assert_eq!(named, ["n2", "n4"]);
        fs::remove_file(home.path().join("n2.json")).unwrap();
        fs::remove_file(home.path().join("n4.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", home.path().join("n2.json")).unwrap();
        let snapshot = read().unwrap();
        assert_eq!(peers(&snapshot), ["n2", "n3"], "a link that leads nowhere");
        assert_eq!(snapshot.faults.len(), 1);
        fs::remove_file(home.path().join("n2.json")).unwrap();
        let snapshot = read().unwrap();
        assert_eq!(peers(&snapshot), ["n3"]);
        assert_eq!(snapshot.faults, []);
        fs::remove_file(home.path().join("n1.json")).unwrap();
        assert!(read().unwrap_err().msg.contains("\"n1\""));
    }

    #[test]
    fn a_file_that_has_rested_is_read_again_only_when_it_is_another() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("n1.json");
        fs::write(&path, r#"{"nodeIPs": ["192.0.2.1"]}"#).unwrap();
        // Written a moment ago: there is nothing to know it again by.
        let Found::Anew(fresh) = entry(home.path(), "n1", None).unwrap() else { panic!() };
        assert_eq!(fresh.stamp, None);
        assert_eq!(fresh.text, r#"{"nodeIPs":["192.0.2.1"],"name":"n1"}"#);
        let rested = stamp(&fs::metadata(&path).unwrap());
        assert!(matches!(entry(home.path(), "n1", Some(&rested)).unwrap(), Found::Same));
        fs::write(&path, r#"{"nodeIPs": ["192.0.2.2"], "name": "other"}"#).unwrap();
        let Found::Anew(anew) = entry(home.path(), "n1", Some(&rested)).unwrap() else { panic!() };
        assert!(anew.text.contains("192.0.2.2") && anew.text.contains("other"));
        fs::remove_file(&path).unwrap();
        assert!(matches!(entry(home.path(), "n1", Some(&rested)).unwrap(), Found::Nothing));
    }
}
