//! A group: the addresses that are masqueraded towards the same destinations. Each has a chain, a
//! set and a counter, all of one name. They are as many as there are subnets in use.

use std::collections::BTreeSet;

use cni::NetworkName;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use kernel::netfilter::{Attributes, Request};

use crate::exempt::Sets;
use crate::layout::{self, MASQUERADE, SOURCE_NAT};
use crate::nft::expression::{self, Address};
use crate::nft::{Set, Table};
use crate::owner;
use crate::wanted::Masquerade;

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
    /// And those that a network exempts as a whole.
    of_network: Option<Sets>,
}

impl Group {
    /// The group of a container's address with its prefix, in a network. `masquerade` tells what
    /// is exempt; its addresses are of no account.
    pub(crate) fn of(address: IpNetwork, masquerade: &Masquerade, network: &NetworkName) -> Self {
        let Masquerade { exempt, network_exempt, .. } = masquerade;
        let own = subnet(address);
        let further = exempt.iter().copied().map(subnet);
        let exempt = further.filter(|e| e.is_ipv6() == own.is_ipv6() && *e != own).collect();
        Self { own, exempt, of_network: network_exempt.then(|| Sets::of(network)) }
    }

    /// The group of an address of which nothing further is exempt.
    pub(crate) fn alone(address: IpNetwork) -> Self {
        Self { own: subnet(address), exempt: BTreeSet::new(), of_network: None }
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
        let mut batch = vec![table.create_counter(&name), Set { table, ..self.members() }.create()];
        batch.extend(self.of_network.iter().map(|sets| sets.create_set(table, self.own.is_ipv6())));
        batch.push(table.create_base_chain(&name, &SOURCE_NAT, &self.words()));
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
        let of_network = self.of_network.iter().map(|sets| {
            let mut rule = Vec::from(expression::of_family(v6));
            rule.push(expression::address(v6, Address::Destination));
            rule.extend([expression::in_set(&sets.set(v6).name), done()]);
            rule
        });
        let map = layout::addresses_in(MASQUERADE, v6).name;
        let mut rules = vec![from([expression::not_in_set(&self.name()), done()])];
        let unchanged = std::iter::once(self.own).chain(self.exempt.iter().copied());
        rules.extend(unchanged.chain(multicast).map(to).chain(of_network));
        rules.push(from([expression::counted_in(&map), expression::masquerade()]));
        rules
    }

    fn words(&self) -> String {
        let mut words = format!("from {}", self.own);
        let of_network = self.of_network.iter().map(Sets::words);
        let all = of_network.chain(self.exempt.iter().map(IpNetwork::to_string));
        for (index, exempt) in all.enumerate() {
            words.push_str(if index == 0 { " but not to " } else { ", " });
            words.push_str(&exempt);
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

    fn group(address: &str, exempt: &[&str], network: Option<&str>) -> Group {
        let masquerade = Masquerade {
            exempt: networks(exempt),
            network_exempt: network.is_some(),
            ..Masquerade::default()
        };
        let network = network.unwrap_or("any").parse().unwrap();
        Group::of(address.parse().unwrap(), &masquerade, &network)
    }

    #[test]
    fn groups_of_networks_with_their_own_exemptions_are_apart() {
        let plain = group("10.1.0.5/16", &[], None);
        let a = group("10.1.0.5/16", &["10.2.0.0/16"], Some("a"));
        let b = group("10.1.0.6/16", &["10.2.0.0/16"], Some("b"));
        assert!(a.name() != b.name() && a.name() != plain.name());
        assert_eq!(a.words(), "from 10.1.0.0/16 but not to what network a exempts, 10.2.0.0/16");
        assert_eq!(plain.words(), "from 10.1.0.0/16");
    }

    #[test]
    fn addresses_of_a_subnet_share_a_group_and_the_order_of_exemptions_does_not_matter() {
        let name = |address: &str, exempt: &[&str]| group(address, exempt, None).name();
        let plain = name("10.1.0.5/16", &[]);
        assert_eq!(plain, name("10.1.9.9/16", &["fd00::/8", "10.1.3.0/16"]));
        let more = name("10.1.0.5/16", &["10.0.0.0/8", "192.168.0.0/16"]);
        assert_eq!(more, name("10.1.0.5/16", &["192.168.0.0/16", "10.0.0.0/8"]));
        assert_ne!(plain, more);
        assert_ne!(plain, name("10.1.0.5/24", &[]));
    }
}
