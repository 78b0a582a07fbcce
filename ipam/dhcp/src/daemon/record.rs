//! What is kept of a lease in a file, so that it outlives the daemon.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use kernel::{MacAddr, durable, regular};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::inside::Kept;
use super::message;
use crate::lease::Lease;
use crate::talk::Holder;

/// A holder's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who holds the lease.
    pub holder: Holder,
    /// The boot that everything else is of.
    pub boot: String,
    /// The path of the container's namespace, as the daemon sees it, and its number.
    pub netns: PathBuf,
    pub cookie: u64,
    /// The index of the interface.
    pub index: u32,
    /// What the client says of itself.
    pub client: Client,
    /// The metric of the lease's routes.
    pub priority: u32,
    /// The lease, while there is one.
    pub granted: Option<Granted>,
    /// The address that is asked for when there is none.
    pub wish: Option<IpAddr>,
    /// Routes that others made and that went with an address.
    pub kept: Vec<Kept>,
    /// When its ADD came, in nanoseconds since the boot: which of several leases that a holder has had
    /// one after the other.
    #[serde(default)]
    pub born: u64,
}

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Fields")]
pub enum Client {
    V4(message::v4::Client),
    V6(message::v6::Client),
}

/// The fields of both kinds. Serde itself, where it tries one kind after the other, reads no map whose
/// keys are numbers.
#[derive(Deserialize)]
struct Fields {
    duid: Option<Vec<u8>>,
    mac: Option<MacAddr>,
    #[serde(default)]
    id: Vec<u8>,
    #[serde(default)]
    broadcast: bool,
    #[serde(default)]
    provide: crate::lease::v4::Options,
    #[serde(default)]
    request: Vec<u8>,
}

impl TryFrom<Fields> for Client {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { duid, mac, id, broadcast, provide, request } = fields;
        match (duid, mac) {
            (Some(duid), None) => Ok(Self::V6(message::v6::Client { duid })),
            (None, Some(mac)) => {
                Ok(Self::V4(message::v4::Client { mac, id, broadcast, provide, request }))
            }
            _ => Err("a client has either a hardware address or a DUID"),
        }
    }
}

/// A lease and since when, in milliseconds since the boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    pub lease: Lease,
    pub since: u64,
    /// The neighbour that leads to the server; DHCPv6 asks a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbour: Option<MacAddr>,
}

impl Record {
    /// Writes it. The directory is memory on most nodes, and no container outlives a loss of power;
    /// so nothing waits for a disk.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        durable::replace(&path(directory, &self.holder), &text)
    }
}

/// Removes a holder's file; it is fine when there is none.
pub fn remove(directory: &Path, holder: &Holder) -> io::Result<()> {
    durable::discard(&path(directory, holder)).map(drop)
}

/// A record has some 600 bytes, beside the options that its client provides.
const LONGEST: u64 = 1 << 20;

/// The records of this boot. Those of another and those that nobody can read are removed: no
/// container is left that has such a lease, or nobody knows which.
pub fn read_all(directory: &Path, boot: &str) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read(&path).map(|text| serde_json::from_slice::<Record>(&text)) {
            Ok(Ok(record)) if record.boot == boot => records.push(record),
            Ok(Ok(_)) => drop(durable::discard(&path)?),
            Ok(Err(e)) => {
                cni::warn(format_args!(
                    "dhcp: {} is no lease, and is removed: {e}",
                    path.display()
                ));
                durable::discard(&path)?;
            }
            Err(e) => cni::warn(format_args!("dhcp: reading {}: {e}", path.display())),
        }
    }
    Ok(records)
}

/// A file's bytes. Nothing else is waited for, as a FIFO's other end would be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    regular::open(File::options().read(true), path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// A digest names the file: the names of a holder may be longer together than a file's may be.
fn path(directory: &Path, holder: &Holder) -> PathBuf {
    use std::fmt::Write as _;
    let digest = Sha256::digest(holder.to_string().as_bytes());
    let name = digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    directory.join(name + ".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: &str = r#"{
        "holder": {"network": "net", "container": "c", "ifname": "eth0"},
        "boot": "b", "netns": "/run/netns/c", "cookie": 7, "index": 2,
        "client": {"mac": "02:00:00:00:00:09", "id": [0, 99], "broadcast": false, "provide": {"12": [119]},
            "request": [1, 3]},
        "priority": 0,
        "granted": {"lease": {"address": "10.5.0.7", "prefix": 24, "gateway": "10.5.0.1", "routes": [],
            "name_servers": [], "domain": "", "search": [], "mtu": null, "server": "10.5.0.1",
            "times": {"renewal": 60, "rebinding": 105, "end": 120}},
            "since": 5000, "neighbour": "02:00:00:00:00:01"},
        "wish": null, "kept": [], "born": 3000
    }"#;

    /// What a daemon wrote that knew nothing of IPv6.
    #[test]
    fn the_file_of_an_earlier_daemon_is_read_and_written_as_it_was() {
        let record: Record = serde_json::from_str(HELD).unwrap();
        assert!(matches!(record.client, Client::V4(_)));
        let lease = &record.granted.as_ref().unwrap().lease;
        assert_eq!(lease.cidr().to_string(), "10.5.0.7/24");
        let before: serde_json::Value = serde_json::from_str(HELD).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), before);
    }

    #[test]
    fn what_is_written_of_ipv6_is_read_as_that_and_in_a_file_of_its_own() {
        let mut record: Record = serde_json::from_str(HELD).unwrap();
        let directory = Path::new("/d");
        let ipv4 = path(directory, &record.holder);
        record.holder = record.holder.of(crate::lease::Family::Ipv6);
        assert_ne!(path(directory, &record.holder), ipv4);
        record.client = Client::V6(message::v6::Client::of("c/net/eth0"));
        let lease = crate::lease::v6::Lease {
            address: "fd00::7".parse().unwrap(),
            name_servers: Vec::new(),
            search: Vec::new(),
            server: vec![0, 3],
            times: crate::lease::v6::Times { renewal: 1, rebinding: 2, end: 3 },
        };
        let lease = Lease::V6(lease);
        record.granted = Some(Granted { lease, since: 5, neighbour: None });
        record.wish = Some("fd00::7".parse().unwrap());
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
