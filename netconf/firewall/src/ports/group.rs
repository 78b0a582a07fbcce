//! What several attachments share, and that goes with the last of them: each has a counter of its
//! name, whose users are counted.

use std::borrow::Cow;

use ipnetwork::{IpNetwork, Ipv4Network};
use kernel::netfilter::{Attributes, Request};

use super::condition::Conditions;
use super::layout::{self, PORTS, WAYS};
use super::wanted::Mapping;
use crate::layout::{SOURCE_NAT, filled};
use crate::nft::expression::{self, Address, connection};
use crate::nft::{Holds, KeyType, Set, Table};
use crate::owner;

const PODS: &str = "pods-";
const IF4: &str = "if4-";
const IF6: &str = "if6-";

/// What several attachments share.
#[derive(Clone, Debug)]
pub(super) enum Group {
    /// Masquerade of what comes from this subnet or from 127.0.0.0/8, to its containers.
    Needed(IpNetwork),
    /// Masquerade of all that is sent on to the containers.
    Everything { v6: bool },
    /// Mappings that hold on the same conditions.
    Conditional(Conditions),
    /// Mappings that another interface of the same container has, and so has those of a level below.
    /// They serve when that one is gone.
    Later { v6: bool, level: usize },
    /// The same port at single addresses. Only a counter.
    Port(String),
}

impl Group {
    /// Of a container's address with its prefix.
    pub(super) fn needed(address: IpNetwork) -> Self {
        Self::Needed(IpNetwork::new(address.network(), address.prefix()).unwrap_or(address))
    }

    pub(super) fn port(mapping: &Mapping, v6: bool) -> Self {
        let family = if v6 { 6 } else { 4 };
        Self::Port(format!("{}{family}-{}", mapping.protocol, mapping.host_port))
    }

    /// A hash of what it is, or the port.
    pub(super) fn name(&self) -> String {
        let prefix = match self {
            Self::Port(name) => return name.clone(),
            Self::Needed(_) | Self::Everything { .. } => PODS,
            Self::Conditional(conditions) if conditions.v6 => IF6,
            Self::Later { v6: true, .. } => IF6,
            Self::Conditional(_) | Self::Later { .. } => IF4,
        };
        format!("{prefix}{}", owner::hash(&self.words(), 16))
    }

    fn words(&self) -> String {
        match self {
            Self::Needed(subnet) if subnet.is_ipv6() => format!("from {subnet}"),
            Self::Needed(subnet) => format!("from {subnet} and loopback"),
            Self::Everything { v6: false } => "all of IPv4".to_owned(),
            Self::Everything { v6: true } => "all of IPv6".to_owned(),
            Self::Conditional(conditions) => conditions.to_string(),
            Self::Later { level, .. } => format!("after other interfaces of a container, {level}"),
            Self::Port(name) => name.clone(),
        }
    }

    fn is_v6(&self) -> bool {
        match self {
            Self::Needed(subnet) => subnet.is_ipv6(),
            Self::Everything { v6 } | Self::Later { v6, .. } => *v6,
            Self::Conditional(conditions) => conditions.v6,
            Self::Port(_) => false,
        }
    }

    /// The set of the masqueraded containers.
    pub(super) fn members(&self, table: Table) -> Set {
        members(table, self.is_v6(), self.name())
    }

    /// The maps of conditional mappings: `ports` and `addresses`.
    pub(super) fn maps(&self, table: Table, v6: bool) -> [Set; 2] {
        maps(table, v6, &self.name())
    }

    /// Its chains with their rules.
    pub(super) fn chains(&self) -> Vec<(String, Vec<Vec<Attributes>>)> {
        let name = self.name();
        match self {
            Self::Port(_) => Vec::new(),
            Self::Conditional(conditions) => {
                let [ports, addresses] = self.maps(PORTS, conditions.v6);
                let mut rules = Vec::from(layout::others());
                for wanted in &conditions.alternatives {
                    let [by_address, _] =
                        layout::translations(conditions.v6, wanted, &addresses.name, &ports.name);
                    rules.push(by_address);
                }
                for wanted in &conditions.alternatives {
                    let [_, by_port] =
                        layout::translations(conditions.v6, wanted, &addresses.name, &ports.name);
                    rules.push(by_port);
                }
                WAYS.map(|(way, _)| (format!("{name}-{way}"), rules.clone())).into()
            }
            Self::Later { v6, .. } => {
                let [ports, addresses] = self.maps(PORTS, *v6);
                let mut rules = Vec::from(layout::others());
                rules.extend(layout::translations(*v6, &[], &addresses.name, &ports.name));
                WAYS.map(|(way, _)| (format!("{name}-{way}"), rules.clone())).into()
            }
            Self::Needed(subnet) => {
                let loopback = Ipv4Network::new([127, 0, 0, 0].into(), 8).ok();
                let loopback = loopback.filter(|_| subnet.is_ipv4()).map(IpNetwork::V4);
                let sources = std::iter::once(*subnet).chain(loopback);
                vec![(name, sources.map(|source| self.masquerade(Some(source))).collect())]
            }
            Self::Everything { .. } => vec![(name, vec![self.masquerade(None)])],
        }
    }

    fn masquerade(&self, source: Option<IpNetwork>) -> Vec<Attributes> {
        let v6 = self.is_v6();
        let mut rule = Vec::from(expression::of_family(v6));
        rule.extend(connection::was_translated());
        rule.push(expression::address(v6, Address::Destination));
        rule.push(expression::in_set(&self.name()));
        if let Some(source) = source {
            rule.extend(expression::within(Address::Source, source));
        }
        rule.push(expression::masquerade());
        rule
    }

    /// All of its own, which may be sent again.
    pub(super) fn create(&self, table: Table) -> Vec<Request> {
        let mut batch = vec![table.create_counter(&self.name())];
        match self {
            Self::Port(_) => {}
            Self::Conditional(_) | Self::Later { .. } => {
                batch.extend(self.maps(table, self.is_v6()).map(|map| map.create()));
            }
            Self::Needed(_) | Self::Everything { .. } => batch.push(self.members(table).create()),
        }
        for (index, (chain, rules)) in self.chains().into_iter().enumerate() {
            let hook = match self {
                Self::Conditional(_) => WAYS.get(index).map(|(_, n)| layout::hook(*n, -1)),
                Self::Later { level, .. } => {
                    let after = i32::try_from(*level).unwrap_or(i32::MAX);
                    WAYS.get(index).map(|(_, n)| layout::hook(*n, after))
                }
                _ => Some(SOURCE_NAT),
            };
            batch.extend(hook.map(|hook| table.create_base_chain(&chain, &hook, &self.words())));
            batch.extend(filled(table, &chain, &rules));
        }
        batch
    }
}

/// Removes the group that a counter is named after.
pub(super) fn remove(table: Table, name: &str) -> Vec<Request> {
    let mut batch = Vec::new();
    if name.starts_with(PODS) {
        // Nothing in the request tells the family.
        batch.extend([table.delete_chain(name), members(table, false, name.to_owned()).remove()]);
    } else if let Some(v6) = conditional(name) {
        batch.extend(WAYS.map(|(way, _)| table.delete_chain(&format!("{name}-{way}"))));
        batch.extend(maps(table, v6, name).map(|map| map.remove()));
    }
    batch.push(table.delete_counter(name));
    batch
}

/// The family of a group of conditional mappings, if the name is one's.
fn conditional(name: &str) -> Option<bool> {
    let of = |prefix, v6| name.starts_with(prefix).then_some(v6);
    of(IF4, false).or(of(IF6, true))
}

/// The maps of the group of conditional mappings that a counter is named after.
pub(super) fn maps_of(name: &str) -> Option<[Set; 2]> {
    conditional(name).map(|v6| maps(PORTS, v6, name))
}

/// The set of a group of masqueraded containers.
pub(super) fn members(table: Table, v6: bool, name: String) -> Set {
    Set { table, name: Cow::Owned(name), key: KeyType::address(v6), holds: Holds::Keys }
}

fn maps(table: Table, v6: bool, name: &str) -> [Set; 2] {
    let holds = Holds::Endpoints { v6 };
    let map = |of: &str, key| Set { table, name: Cow::Owned(format!("{name}-{of}")), key, holds };
    [map("ports", KeyType::Port), map("addresses", KeyType::address_and_port(v6))]
}
