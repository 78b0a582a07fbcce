//! A group: the addresses that are masqueraded towards the same destinations. One chain each.

use std::collections::BTreeSet;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use kernel::netfilter::{Attributes, Request};

use crate::layout::{self, MASQUERADE};
use crate::nft::expression;
use crate::owner;

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

    /// Its chain's name: a hash of what it is, and the number of its rules, so that the number of
    /// its users can be told from the kernel's count of both (see [`rules_of`]).
    pub(crate) fn chain(&self) -> String {
        format!("pods-{}-{}", owner::hash(&self.words(), 16), self.size())
    }

    /// The number of its chain's rules: one each for the subnet, the exemptions, multicast, and the
    /// masquerade itself.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.exempt.len()).unwrap_or(u32::MAX).saturating_add(3)
    }

    /// `nft add chain` and its rules, all of which may be sent again.
    pub(crate) fn create(&self) -> Vec<Request> {
        let chain = self.chain();
        let mut batch = vec![MASQUERADE.create_chain(&chain, &self.words())];
        batch.extend(layout::filled(MASQUERADE, &chain, &self.rules()));
        batch
    }

    /// The chain's rules. Multicast is left alone so that containers see each other's (as in the
    /// reference plugins).
    pub(crate) fn rules(&self) -> Vec<Vec<Attributes>> {
        let multicast = match self.own {
            IpNetwork::V4(_) => Ipv4Network::new([224, 0, 0, 0].into(), 4).map(IpNetwork::V4),
            IpNetwork::V6(_) => {
                Ipv6Network::new([0xff00, 0, 0, 0, 0, 0, 0, 0].into(), 8).map(IpNetwork::V6)
            }
        };
        let mut rules: Vec<_> = std::iter::once(self.own)
            .chain(self.exempt.iter().copied())
            .chain(multicast)
            .map(|destination| {
                let mut rule = expression::destination_in(destination);
                rule.push(expression::verdict(expression::RETURN));
                rule
            })
            .collect();
        let mut last = Vec::from(expression::of_family(self.own.is_ipv6()));
        last.push(expression::masquerade());
        rules.push(last);
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

/// The number of rules in a group's chain, read from its name.
pub(crate) fn rules_of(chain: &str) -> Option<u32> {
    chain.strip_prefix("pods-")?.rsplit_once('-')?.1.parse().ok()
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
    fn addresses_of_a_subnet_share_a_chain_and_the_order_of_exemptions_does_not_matter() {
        let chain = |address: &str, exempt: &[&str]| {
            Group::of(address.parse().unwrap(), &networks(exempt)).chain()
        };
        let plain = chain("10.1.0.5/16", &[]);
        assert_eq!(plain, chain("10.1.9.9/16", &["fd00::/8", "10.1.3.0/16"]));
        assert_eq!(rules_of(&plain), Some(3));
        let more = chain("10.1.0.5/16", &["10.0.0.0/8", "192.168.0.0/16"]);
        assert_eq!(more, chain("10.1.0.5/16", &["192.168.0.0/16", "10.0.0.0/8"]));
        assert_eq!(rules_of(&more), Some(5));
        assert_ne!(plain, chain("10.1.0.5/24", &[]));
    }

    #[test]
    fn the_name_tells_the_number_of_rules() {
        for exempt in [&[][..], &["10.0.0.0/8"], &["fd00::/8"]] {
            let group = Group::of("10.1.0.5/32".parse().unwrap(), &networks(exempt));
            assert_eq!(rules_of(&group.chain()), u32::try_from(group.rules().len()).ok());
        }
        assert_eq!(rules_of("guard"), None);
    }
}
