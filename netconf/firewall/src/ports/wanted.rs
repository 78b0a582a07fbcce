//! What an attachment asks of the node's ports, as elements of our maps.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use cni::Attachment;
use ipnetwork::IpNetwork;

use super::condition::Conditions;
use super::group::Group;
use super::later::Later;
use super::layout::{self, PORTS};
use crate::nft::{Element, Key, Set};
use crate::owner;

/// What an attachment wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose it is.
    pub attachment: Attachment,
    /// The container's addresses, each with the prefix of its subnet; one of a family.
    pub addresses: Vec<IpNetwork>,
    /// The ports. Those of a family that the container has no address of come to nothing.
    pub mappings: Vec<Mapping>,
    /// Which connections are masqueraded.
    pub snat: Snat,
    /// On which conditions the mappings hold.
    pub conditions: Vec<Conditions>,
}

/// A port of the node that leads to one of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its protocol.
    pub protocol: Protocol,
    /// At which of the node's addresses.
    pub at: At,
    /// The node's port.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
}

/// At which of the node's addresses a port leads into the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At each.
    Every,
    /// At each of IPv6, or of IPv4.
    Family {
        /// Of IPv6.
        v6: bool,
    },
    /// At one.
    One(IpAddr),
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

/// Which of the connections that a port leads into the container carry the node's address there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snat {
    /// None.
    Nothing,
    /// Those that the container could not answer by way of the node: from its own subnet, and from
    /// the node's loopback addresses.
    Needed,
    /// All.
    Everything,
}

impl Protocol {
    /// Its number (`IPPROTO_*`).
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// Its name in lower case.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Mapping {
    /// Whether it holds for a family.
    pub fn is_of(&self, v6: bool) -> bool {
        match self.at {
            At::Every => true,
            At::Family { v6: of } => of == v6,
            At::One(address) => address.is_ipv6() == v6,
        }
    }

    /// The one address that it holds at.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.at {
            At::One(address) => Some(address),
            At::Every | At::Family { .. } => None,
        }
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            At::One(address) => write!(f, "{}", SocketAddr::new(address, self.host_port))?,
            _ => write!(f, "{}", self.host_port)?,
        }
        write!(f, "/{}", self.protocol)
    }
}

/// One of the wanted elements.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) element: Element,
    /// The mapping that it is of, where it is of one that holds without conditions: others may not
    /// have the same, nor one that overlaps it.
    pub(super) mapping: Option<Mapping>,
    /// Goes with another one, and does not count.
    pub(super) companion: bool,
    /// Of a mapping that holds without conditions: where it would be if nobody had it.
    pub(super) home: Option<(Set, Key)>,
    /// How many others of the same container have it already.
    pub(super) level: usize,
}

impl Wanted {
    /// The container's address of a family.
    pub(crate) fn address(&self, v6: bool) -> Option<IpNetwork> {
        self.addresses.iter().copied().find(|address| address.is_ipv6() == v6)
    }

    /// The conditions of a family.
    pub(crate) fn conditions(&self, v6: bool) -> Option<&Conditions> {
        self.conditions.iter().find(|conditions| conditions.v6 == v6)
    }

    /// The mappings of a family, and where each leads; none where the container has no address.
    pub(crate) fn forwards(&self, v6: bool) -> impl Iterator<Item = (&Mapping, SocketAddr)> {
        let address = self.address(v6);
        self.mappings.iter().filter(move |mapping| mapping.is_of(v6)).filter_map(move |mapping| {
            Some((mapping, SocketAddr::new(address?.ip(), mapping.container_port)))
        })
    }

    pub(super) fn owner(&self) -> String {
        owner::comment(&self.attachment)
    }

    /// The groups that must be there, but for those of single ports.
    pub(super) fn groups(&self, later: &Later) -> Vec<Group> {
        let mut groups = Vec::new();
        for v6 in [false, true] {
            if self.forwards(v6).next().is_none() {
                continue;
            }
            groups.extend(self.snat_group(v6));
            groups.extend(self.conditions(v6).cloned().map(Group::Conditional));
            groups.extend(later.levels(v6).into_iter().map(|level| Group::Later { v6, level }));
        }
        groups
    }

    fn snat_group(&self, v6: bool) -> Option<Group> {
        match self.snat {
            Snat::Nothing => None,
            Snat::Needed => self.address(v6).map(Group::needed),
            Snat::Everything => Some(Group::Everything { v6 }),
        }
    }

    /// All elements but that of the attachment itself. A mapping given twice counts once.
    pub(super) fn items(&self, later: &Later) -> Vec<Item> {
        let owner = self.owner();
        let mut items = Vec::new();
        let mut seen = BTreeSet::new();
        for v6 in [false, true] {
            let conditions = self.conditions(v6).cloned().map(Group::Conditional);
            let mut any = false;
            for (mapping, to) in self.forwards(v6) {
                any = true;
                let (set, key) = place(mapping, v6, conditions.as_ref());
                if !seen.insert((set.name.clone(), key.clone())) {
                    continue;
                }
                let level = later.of(&set, &key);
                let home = conditions.is_none().then(|| (set.clone(), key.clone()));
                let set = match level {
                    0 => set,
                    _ => place(mapping, v6, Some(&Group::Later { v6, level })).0,
                };
                let element = Element {
                    set,
                    key: key.clone(),
                    counter: None,
                    to: Some(to),
                    comment: owner.clone(),
                };
                let free = conditions.is_none() && level == 0;
                let (companion, mapping) = (false, free.then_some(*mapping));
                items.push(Item { element, mapping, companion, home, level });
                if let Some(mapping) = mapping.filter(|mapping| mapping.address().is_some()) {
                    let set = layout::specific(PORTS, v6);
                    let counter = Some(Group::port(&mapping, v6).name());
                    let element = Element { set, key, counter, to: None, comment: owner.clone() };
                    items.push(Item { element, mapping: None, companion, home: None, level });
                }
            }
            if any {
                items.extend(self.shared(v6, conditions.as_ref(), &owner, later));
            }
        }
        items
    }

    /// The elements that serve all mappings of a family.
    fn shared(
        &self,
        v6: bool,
        conditions: Option<&Group>,
        owner: &str,
        later: &Later,
    ) -> Vec<Item> {
        let mut items = Vec::new();
        let mut push = |set, key, counter, comment: &str| {
            let companion = comment.is_empty();
            let element = Element { set, key, counter, to: None, comment: comment.to_owned() };
            items.push(Item { element, mapping: None, companion, home: None, level: 0 });
        };
        if let (Some(group), Some(address)) = (self.snat_group(v6), self.address(v6)) {
            let key = Key::Address(address.ip());
            push(layout::pods(PORTS, v6), key.clone(), Some(group.name()), owner);
            push(group.members(PORTS), key, None, "");
        }
        if let (Some(group), Some(key)) = (conditions, conditional_key(owner, v6)) {
            push(layout::conditional(PORTS), key, Some(group.name()), owner);
        }
        for level in later.levels(v6) {
            if let Some(key) = conditional_key(&format!("{owner} {level}"), v6) {
                let counter = Some(Group::Later { v6, level }.name());
                push(layout::conditional(PORTS), key, counter, owner);
            }
        }
        items
    }
}

/// The key of an attachment's element in `conditional`.
pub(super) fn conditional_key(owner: &str, v6: bool) -> Option<Key> {
    layout::digest(&format!("{owner} {}", if v6 { 6 } else { 4 }))
}

/// The map and the key of a mapping.
fn place(mapping: &Mapping, v6: bool, conditions: Option<&Group>) -> (Set, Key) {
    let (protocol, port) = (mapping.protocol.number(), mapping.host_port);
    let [ports, addresses] = match conditions {
        Some(group) => group.maps(PORTS, v6),
        None => [layout::ports(PORTS, v6), layout::addresses(PORTS, v6)],
    };
    match mapping.address() {
        Some(address) => (addresses, Key::AddressAndPort(address, protocol, port)),
        None => (ports, Key::Port(protocol, port)),
    }
}
