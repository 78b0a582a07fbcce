//! A group: the addresses that are masqueraded towards the same destinations. Each has a chain, a
//! set and a counter, all of one name. They are as many as there are subnets in use.

use std::collections::BTreeSet;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use kernel::netfilter::{Attributes, Request};

use crate::layout::{self, MASQUERADE, SOURCE_NAT};
use crate::nft::expression::{self, Address};
use crate::nft::{Set, Table};
use crate::owner;

/// How the names of groups begin.
const PREFIX: &str = "pods-";
/// How much of the table a group is: what [`remove`] removes.
pub(crate) const PARTS: u32 = 3;

/// Where a group's packets go unchanged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    /// The subnet that the addresses are of.
    own: IpNetwork,
    /// Further destinations of the same family.
    exempt: BTreeSet<IpNetwork>,
}

impl Group {
    /// The group of a container's address with its prefix.
    pub(crate) fn of(address: IpNetwork, exempt: &[IpNetwork]) -> Self {
        let own = subnet(address);
        let further = exempt.iter().copied().map(subnet);
        let exempt = further.filter(|e| e.is_ipv6() == own.is_ipv6() && *e != own).collect();
        Self { own, exempt }
    }

    /// A hash of what it is.
    pub(crate) fn name(&self) -> String {
        format!("{PREFIX}{}", owner::hash(&self.words(), 16))
    }

    /// The set of its addresses.
    pub(crate) fn members(&self) -> Set {
        layout::members_in(MASQUERADE, self.own.is_ipv6(), self.name())
    }

    /// All of its own, which may be sent again.
    pub(crate) fn create(&self, table: Table) -> Vec<Request> {
        let name = self.name();
        let mut batch = vec![
            table.create_counter(&name),
            Set { table, ..self.members() }.create(),
            table.create_base_chain(&name, &SOURCE_NAT, &self.words()),
        ];
        batch.extend(layout::filled(table, &name, &self.rules()));
        batch
    }

    /// The chain's rules. Multicast is left alone so that containers see each other's (as in the
    /// reference plugins).
    pub(crate) fn rules(&self) -> Vec<Vec<Attributes>> {
        let v6 = self.own.is_ipv6();
        let multicast = match self.own {
            IpNetwork::V4(_) => Ipv4Network::new([224, 0, 0, 0].into(), 4).map(IpNetwork::V4),
            IpNetwork::V6(_) => {
                Ipv6Network::new([0xff00, 0, 0, 0, 0, 0, 0, 0].into(), 8).map(IpNetwork::V6)
            }
        };
        let from = |then: [Attributes; 2]| {
            let mut rule = Vec::from(expression::of_family(v6));
            rule.push(expression::address(v6, Address::Source));
            rule.extend(then);
            rule
        };
        let done = || expression::verdict(expression::RETURN);
        let to = |destination| {
            let mut rule = expression::destination_in(destination);
            rule.push(done());
            rule
        };
        let map = layout::addresses_in(MASQUERADE, v6).name;
        let mut rules = vec![from([expression::not_in_set(&self.name()), done()])];
        let unchanged = std::iter::once(self.own).chain(self.exempt.iter().copied());
        rules.extend(unchanged.chain(multicast).map(to));
        rules.push(from([expression::counted_in(&map), expression::masquerade()]));
        rules
    }

    fn words(&self) -> String {
        let mut words = format!("from {}", self.own);
        for (index, exempt) in self.exempt.iter().enumerate() {
            words.push_str(if index == 0 { " but not to " } else { ", " });
            words.push_str(&exempt.to_string());
        }
        words
    }
}

/// Removes a group of this name: its chain and with it the rule that looks in the set, its set,
/// its counter.
pub(crate) fn remove(table: Table, name: &str) -> [Request; 3] {
    // Nothing in the request tells the family.
    let members = layout::members_in(table, false, name.to_owned());
    [table.delete_chain(name), members.remove(), table.delete_counter(name)]
}

/// The network that an address with a prefix is of.
fn subnet(address: IpNetwork) -> IpNetwork {
    IpNetwork::new(address.network(), address.prefix()).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNetwork> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_of_a_subnet_share_a_group_and_the_order_of_exemptions_does_not_matter() {
        let name = |address: &str, exempt: &[&str]| {
            Group::of(address.parse().unwrap(), &networks(exempt)).name()
        };
        let plain = name("10.1.0.5/16", &[]);
        assert_eq!(plain, name("10.1.9.9/16", &["fd00::/8", "10.1.3.0/16"]));
        let more = name("10.1.0.5/16", &["10.0.0.0/8", "192.168.0.0/16"]);
        assert_eq!(more, name("10.1.0.5/16", &["192.168.0.0/16", "10.0.0.0/8"]));
        assert_ne!(plain, more);
        assert_ne!(plain, name("10.1.0.5/24", &[]));
    }
}
