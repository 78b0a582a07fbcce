//! All leases as they are known now, and the fleet that they make.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use cni::{Error, Json};
use etcd_client::KeyValue;
use flannel::{Backend, Lease, Peer};
use peers::{Fault, Fleet};

use super::super::Snapshot;
use super::claim::Held;
use super::precedence::Taken;
use crate::plain::plain;

/// The leases by the last part of their key.
#[derive(Debug)]
pub struct Leases {
    prefix: String,
    backend: Backend,
    known: BTreeMap<String, Known>,
}

/// A lease, and what it says as it goes into the description.
#[derive(Debug)]
struct Known {
    id: i64,
    created: i64,
    value: Vec<u8>,
    ip: Option<Ipv4Addr>,
    peer: Option<(Peer, String)>,
    wrong: Vec<String>,
}

/// How this node's own entry is found.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it was written.
    Ours,
    /// As it was written, and without a lease: the subnet was reserved for this node for ever.
    Reserved,
    /// It is not there any more, or was not, and is somebody else's since.
    Gone,
    /// Somebody wrote something else over it.
    Overwritten(String),
}

impl Leases {
    /// None, below these keys.
    pub fn new(prefix: String, backend: Backend) -> Self {
        Self { prefix, backend, known: BTreeMap::new() }
    }

    /// A lease was written.
    pub fn put(&mut self, pair: &KeyValue) {
        self.take_up(pair.key(), pair.value(), pair.lease(), pair.create_revision());
    }

    fn take_up(&mut self, key: &[u8], value: &[u8], id: i64, created: i64) {
        let name = self.name(key);
        let (mut ip, mut peer, mut wrong) = (None, None, Vec::new());
        match Lease::parse(&name, value) {
            Err(e) => wrong.push(e.msg),
            Ok(lease) => {
                let (read, errors) = lease.peer(self.backend);
                ip = lease.public_ip();
                wrong.extend(errors.into_iter().map(|e| e.msg));
                peer = read.map(|peer| {
                    let text = peer.json().to_string();
                    (peer, text)
                });
            }
        }
        let value = value.to_owned();
        self.known.insert(name, Known { id, created, value, ip, peer, wrong });
    }

    /// A lease is gone.
    pub fn delete(&mut self, key: &[u8]) {
        let name = self.name(key);
        self.known.remove(&name);
    }

    /// How this node's own entry is found.
    pub fn standing(&self, own: &Held) -> Standing {
        let Some(known) = self.known.get(&own.subnet.to_string()) else { return Standing::Gone };
        if known.created != own.created {
            return Standing::Gone;
        }
        let is_same = known.value == own.value.as_bytes();
        match known.id {
            id if is_same && id == own.lease => Standing::Ours,
            0 if is_same => Standing::Reserved,
            id => Standing::Overwritten(match known.ip {
                Some(_) if is_same => format!("it goes with another lease, {id:x}"),
                Some(ip) => format!("its value names PublicIP {ip} and is not what was written"),
                None => "its value cannot be read".to_owned(),
            }),
        }
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
        let mut others: Vec<_> = self.known.iter().filter(|(name, _)| **name != mine).collect();
        let mut faults: Vec<Fault> = own.fault.iter().cloned().collect();
        for (name, known) in &others {
            let named = |why: &String| Fault { peer: (*name).clone(), reason: why.clone() };
            faults.extend(known.wrong.iter().map(named));
        }
        // Who wrote a key by hand takes nothing from who has a lease, nor a new lease from an old one.
        others.sort_by_key(|(_, known)| (known.id == 0, known.created));
        let mut taken = Taken::new(&own.networks, &own.local);
        let mut peers: Vec<(&String, &str)> = Vec::with_capacity(others.len());
        for (name, known) in others {
            let Some((peer, text)) = &known.peer else { continue };
            match taken.take(peer) {
                Ok(()) => peers.push((name, text)),
                Err(why) => faults.push(Fault { peer: name.clone(), reason: why }),
            }
        }
        peers.sort();
        let peers: Vec<&str> = peers.into_iter().map(|(_, text)| text).collect();
        let text = format!("{head}{}]}}", peers.join(",")).into_bytes();
        Snapshot::of(text, faults, "the leases")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_several_lines_is_named_in_one() {
        let mut leases = Leases::new("/net/subnets/".to_owned(), Backend::HostGw);
        leases.take_up(b"/net/subnets/x\nreboot\x1b[2J", b"{}", 1, 1);
        let (name, known) = leases.known.first_key_value().unwrap();
        assert_eq!(name, "x\\u000areboot\\u001b[2J");
        assert!(!known.wrong.is_empty());
        assert!(known.wrong.iter().all(|why| !why.contains(char::is_control)), "{known:?}");
        leases.delete(b"/net/subnets/x\nreboot\x1b[2J");
        assert!(leases.known.is_empty());
    }
}
