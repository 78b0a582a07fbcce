//! What the plan needs to know of this node's own network.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// One value for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families<T> {
    /// IPv4's.
    pub v4: T,
    /// IPv6's.
    pub v6: T,
}

impl<T> Families<T> {
    /// That of a family.
    pub fn get(&self, ipv6: bool) -> &T {
        if ipv6 { &self.v6 } else { &self.v4 }
    }

    /// Both, IPv4's first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.v4, &self.v6].into_iter()
    }

    /// That of a family, to be changed.
    pub fn get_mut(&mut self, ipv6: bool) -> &mut T {
        if ipv6 { &mut self.v6 } else { &mut self.v4 }
    }
}

/// This node's own network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The interface that leads to the peers, for each family that the local node has an address of.
    pub underlays: Families<Option<Underlay>>,
    /// How each peer's node address is reached; asked only where the backend cares (host-gw, and
    /// direct routing).
    pub reach: BTreeMap<IpAddr, Reach>,
}

/// The underlay's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The local node's address.
    pub local: IpAddr,
}

/// How an address is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// On the underlay's link.
    Direct,
    /// Behind this router.
    Behind(IpAddr),
    /// Through an interface that is not the underlay's.
    Elsewhere(String),
    /// It is this node's own.
    Own,
    /// Not at all.
    Unreachable,
}
