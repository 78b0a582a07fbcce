//! A directory with a file for each node, and `cluster.json` for what is common to all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cni::{Code, Error, Json};
use peers::Fault;

use super::super::Snapshot;
use super::read;

/// `version` and `clusterCIDRs`.
const COMMON: &str = "cluster.json";

/// What each file said when it could be read last.
#[derive(Debug, Default)]
pub struct Directory {
    nodes: BTreeMap<String, Json>,
}

impl Directory {
    /// Reads all files. What one of them said last holds while it cannot be read, and is forgotten
    /// when it is gone.
    pub fn read(&mut self, path: &Path, node: &str, what: &str) -> Result<Snapshot, Error> {
        let common = read::whole(&path.join(COMMON))
            .map_err(|e| read::failed(&format!("{what}/{COMMON}"), &e))?;
        let mut tree = Json::parse(&common, &format!("{what}/{COMMON}"))?;
        let mut faults = Vec::new();
        let mut nodes = BTreeMap::new();
        for stem in stems(path).map_err(|e| read::failed(what, &e))? {
            match entry(path, &stem) {
                Ok(Some(entry)) => {
                    nodes.insert(stem, entry);
                }
                // It went while the directory was listed.
                Ok(None) => {}
                Err(error) => {
                    nodes.extend(self.nodes.remove(&stem).map(|last| (stem.clone(), last)));
                    faults.push(Fault { peer: stem, reason: error.to_string() });
                }
            }
        }
        self.nodes = nodes;
        tree.set("peers", Json::Array(self.nodes.values().cloned().collect()));
        let snapshot = Snapshot::seen_from(tree.to_string().as_bytes(), node, what)?;
        Ok(Snapshot { faults, ..snapshot })
    }
}

/// The names of the nodes' files less `.json`, sorted. Those that begin with a dot are being written.
fn stems(path: &Path) -> std::io::Result<Vec<String>> {
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

/// A node's entry; its name is the file's where it says none.
fn entry(path: &Path, stem: &str) -> Result<Option<Json>, Error> {
    let name = format!("{stem}.json");
    let text = match read::whole(&path.join(&name)) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::new(Code::IO, format!("{name}: {e}"))),
    };
    let mut entry = Json::parse(&text, &name)?;
    if !matches!(entry, Json::Object(_)) {
        return Err(Error::new(Code::DECODE, format!("{name}: must be an object")));
    }
    if entry.get("name").is_none() {
        entry.set("name", Json::from(stem));
    }
    Ok(Some(entry))
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
        let snapshot = read().unwrap();
        assert_eq!(peers(&snapshot), ["n3"]);
        assert_eq!(snapshot.faults, []);
        fs::remove_file(home.path().join("n1.json")).unwrap();
        assert!(read().unwrap_err().msg.contains("\"n1\""));
    }
}
