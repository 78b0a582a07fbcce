//! All leases as they are known now, and the fleet that they make.

use std::collections::BTreeMap;

use cni::{Error, Json};
use flannel::{Backend, Lease};
use peers::{Fault, Fleet};

use super::super::Snapshot;
use super::claim::Held;
use crate::plain::plain;

/// The leases by the last part of their key.
#[derive(Debug)]
pub struct Leases {
    prefix: String,
    backend: Backend,
    known: BTreeMap<String, Known>,
}

/// What a lease says, as it goes into the description.
#[derive(Debug)]
struct Known {
    peer: Option<String>,
    wrong: Vec<String>,
}

impl Leases {
    /// None, below these keys.
    pub fn new(prefix: String, backend: Backend) -> Self {
        Self { prefix, backend, known: BTreeMap::new() }
    }

    /// A lease was written.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let name = self.name(key);
        let known = match Lease::parse(&name, value) {
            Err(e) => Known { peer: None, wrong: vec![e.msg] },
            Ok(lease) => {
                let (peer, wrong) = lease.peer(self.backend);
                Known {
                    peer: peer.map(|peer| peer.json().to_string()),
                    wrong: wrong.into_iter().map(|e| e.msg).collect(),
                }
            }
        };
        self.known.insert(name, known);
    }

    /// A lease is gone.
    pub fn delete(&mut self, key: &[u8]) {
        let name = self.name(key);
        self.known.remove(&name);
    }

    /// True while this node's own is there.
    pub fn has(&self, own: &Held) -> bool {
        self.known.contains_key(&own.subnet.to_string())
    }

    fn name(&self, key: &[u8]) -> String {
        let key = String::from_utf8_lossy(key);
        // A key may hold anything; that of a subnet is as it was.
        plain(key.strip_prefix(&self.prefix).unwrap_or(&key))
    }

    /// The fleet as this node sees it. Fails when its own entry cannot be served.
    pub fn describe(&self, own: &Held) -> Result<Snapshot, Error> {
        let head = format!(
            r#"{{"version":1,"clusterCIDRs":{},"local":{},"peers":["#,
            own.networks.iter().map(ToString::to_string).collect::<Json>(),
            own.local.json(),
        );
        Fleet::parse(format!("{head}]}}").as_bytes(), &format!("lease {}", own.subnet))?;
        let mine = own.subnet.to_string();
        let others = || self.known.iter().filter(|(name, _)| **name != mine);
        let peers: Vec<&str> = others().filter_map(|(_, known)| known.peer.as_deref()).collect();
        let faults = others().flat_map(|(name, known)| {
            known.wrong.iter().map(|why| Fault { peer: name.clone(), reason: why.clone() })
        });
        let text = format!("{head}{}]}}", peers.join(",")).into_bytes();
        Snapshot::of(text, faults.collect(), "the leases")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_several_lines_is_named_in_one() {
        let mut leases = Leases::new("/net/subnets/".to_owned(), Backend::HostGw);
        leases.put(b"/net/subnets/x\nreboot\x1b[2J", b"{}");
        let (name, known) = leases.known.first_key_value().unwrap();
        assert_eq!(name, "x\\u000areboot\\u001b[2J");
        assert!(!known.wrong.is_empty());
        assert!(known.wrong.iter().all(|why| !why.contains(char::is_control)), "{known:?}");
        leases.delete(b"/net/subnets/x\nreboot\x1b[2J");
        assert!(leases.known.is_empty());
    }
}
