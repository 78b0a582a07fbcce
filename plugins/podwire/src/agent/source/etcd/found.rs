//! The leases as etcd has them at one time, for who takes one of them.

use std::net::{IpAddr, Ipv4Addr};

use cni::Error;
use etcd_client::{Client, GetOptions, KeyValue, ResponseHeader};
use flannel::{Backend, Lease, Peer, Subnet};

use super::client::answer;

/// A lease as it was read.
pub struct Found {
    /// The whole key.
    pub key: String,
    /// What the key says.
    pub subnet: Subnet,
    /// What the value says, where it can be read.
    pub lease: Option<Lease>,
    /// etcd's number of the lease that the key goes with; zero without one.
    pub id: i64,
    /// The revision that the key is there since.
    pub created: i64,
    /// The revision that it was written at.
    pub revision: i64,
    /// The value.
    pub value: Vec<u8>,
}

impl Found {
    fn of(pair: &KeyValue, prefix: &str) -> Option<Self> {
        let key = pair.key_str().ok()?;
        let name = key.strip_prefix(prefix)?;
        Some(Self {
            key: key.to_owned(),
            subnet: name.parse().ok()?,
            // What cannot be read is named with the other leases.
            lease: Lease::parse(name, pair.value()).ok(),
            id: pair.lease(),
            created: pair.create_revision(),
            revision: pair.mod_revision(),
            value: pair.value().to_owned(),
        })
    }

    /// The address that the value names, if any.
    pub fn ip(&self) -> Option<Ipv4Addr> {
        self.lease.as_ref().and_then(Lease::public_ip)
    }

    /// It bears one of these addresses.
    pub fn is_of(&self, ips: &[IpAddr]) -> bool {
        self.ip().is_some_and(|ip| ips.contains(&IpAddr::V4(ip)))
    }

    /// The node as the others know it.
    pub fn peer(&self, backend: Backend) -> Peer {
        self.lease.as_ref().and_then(|lease| lease.peer(backend).0).unwrap_or_default()
    }
}

/// All leases below `prefix`, which ends with a slash, and the revision of etcd that they are of.
pub async fn read(client: &mut Client, prefix: &str) -> Result<(Vec<Found>, i64), Error> {
    let options = GetOptions::new().with_prefix();
    let got = answer("read the leases", client.get(prefix, Some(options))).await?;
    let found = got.kvs().iter().filter_map(|pair| Found::of(pair, prefix));
    Ok((found.collect(), got.header().map_or(0, ResponseHeader::revision)))
}
