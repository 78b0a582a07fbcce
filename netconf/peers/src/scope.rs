//! Which routes under our protocol number are this network's.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use cni::{Error, NetworkName};
use ipnetwork::IpNetwork;
use kernel::Socket;
use kernel::link::{self, Link};
use kernel::route::Installed;

use crate::difference::alias;
use crate::fleet::within;
use crate::record::Record;

/// What a network's routes lead into, and what those of others do that use the same number.
#[derive(Debug)]
pub struct Scope {
    /// The cluster's networks, those of an earlier plan included.
    pub own: Vec<IpNetwork>,
    rivals: Vec<IpNetwork>,
    /// The mark of our devices.
    mark: String,
}

impl Scope {
    /// Of the cluster's networks, those of the record of the time before, and the rivals' records.
    pub fn new(
        network: &NetworkName,
        cluster: &[IpNetwork],
        before: &Record,
        rivals: &[Record],
    ) -> Self {
        let mut own: Vec<IpNetwork> = cluster.iter().chain(&before.domain).copied().collect();
        own.sort_unstable();
        own.dedup();
        let rivals = rivals.iter().flat_map(|rival| rival.domain.clone()).collect();
        Self { own, rivals, mark: alias(network) }
    }

    /// True when a rival names a smaller network around the destination than we do.
    pub fn is_a_rivals(&self, dst: IpNetwork) -> bool {
        closest(dst, &self.rivals) > closest(dst, &self.own)
    }

    /// True when a rival names a network around the destination that is no larger than ours.
    pub fn is_claimed(&self, dst: IpNetwork) -> bool {
        let rivals = closest(dst, &self.rivals);
        rivals.is_some() && rivals >= closest(dst, &self.own)
    }

    /// True for a tunnel device that bears the mark of another network.
    pub fn is_anothers_device(&self, link: &Link) -> bool {
        let mark = link.alias.as_deref().unwrap_or_default();
        ["vxlan", "ipip"].contains(&link.kind.as_str())
            && mark.starts_with("podwire:")
            && mark != self.mark
    }

    /// Takes the routes through other networks' tunnel devices out of `routes`, and gives them. `known` are
    /// links that are none of those.
    pub fn without_anothers(
        &self,
        socket: &Socket,
        routes: &mut Vec<Installed>,
        known: &BTreeSet<u32>,
    ) -> Result<Vec<Installed>, Error> {
        let mut is_anothers: BTreeMap<u32, bool> = known.iter().map(|at| (*at, false)).collect();
        for at in routes.iter().filter_map(|installed| installed.link) {
            if let Entry::Vacant(unknown) = is_anothers.entry(at) {
                let found = link::get_by_index(socket, at)?;
                unknown.insert(found.is_some_and(|link| self.is_anothers_device(&link)));
            }
        }
        let through = |installed: &Installed| {
            installed.link.is_some_and(|at| is_anothers.get(&at).copied().unwrap_or_default())
        };
        Ok(routes.extract_if(.., |installed| through(installed)).collect())
    }
}

/// The length of the smallest network around the destination.
fn closest(dst: IpNetwork, all: &[IpNetwork]) -> Option<u8> {
    all.iter().filter(|net| within(dst, **net)).map(IpNetwork::prefix).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_that_network_s_which_names_the_smaller_one_around_it() {
        let net = |text: &str| -> IpNetwork { text.parse().unwrap() };
        let record = |domain: &[&str]| Record {
            domain: domain.iter().map(|text| net(text)).collect(),
            ..Record::default()
        };
        let scope = Scope::new(
            &"pods".parse().unwrap(),
            &[net("10.0.0.0/8")],
            &record(&["10.7.0.0/16"]),
            &[record(&["10.91.0.0/16", "10.7.0.0/16"]), record(&["fd00::/32"])],
        );
        assert_eq!(scope.own, [net("10.0.0.0/8"), net("10.7.0.0/16")]);
        assert!(scope.is_a_rivals(net("10.91.2.0/24")));
        assert!(!scope.is_a_rivals(net("10.7.2.0/24")));
        assert!(!scope.is_a_rivals(net("10.8.2.0/24")));
        assert!(scope.is_a_rivals(net("fd00:0:1::/64")));
        // What both name is claimed by both, and taken away by none of them.
        assert!(scope.is_claimed(net("10.7.2.0/24")) && scope.is_claimed(net("10.91.2.0/24")));
        assert!(!scope.is_claimed(net("10.8.2.0/24")));
    }

    #[test]
    fn a_tunnel_device_is_that_network_s_whose_mark_it_bears() {
        let scope = Scope::new(&"pods".parse().unwrap(), &[], &Record::default(), &[]);
        let link = |kind: &str, alias: &str| Link {
            kind: kind.to_owned(),
            alias: (!alias.is_empty()).then(|| alias.to_owned()),
            ..Link::default()
        };
        assert!(scope.is_anothers_device(&link("vxlan", "podwire:blue")));
        assert!(scope.is_anothers_device(&link("ipip", "podwire:pods2")));
        for (kind, alias) in [
            ("vxlan", "podwire:pods"),
            ("vxlan", ""),
            ("vxlan", "somebody"),
            ("veth", "podwire:blue:one:eth0"),
        ] {
            assert!(!scope.is_anothers_device(&link(kind, alias)), "{kind} {alias}");
        }
    }
}
