//! Which routes under our protocol number are this network's.

use ipnetwork::IpNetwork;

use crate::fleet::within;
use crate::record::Record;

/// What a network's routes lead into, and what those of others do that use the same number.
#[derive(Debug)]
pub struct Scope {
    /// The cluster's networks, those of an earlier plan included.
    pub own: Vec<IpNetwork>,
    rivals: Vec<IpNetwork>,
}

impl Scope {
    /// Of the cluster's networks, those of the record of the time before, and the rivals' records.
    pub fn new(cluster: &[IpNetwork], before: &Record, rivals: &[Record]) -> Self {
        let mut own: Vec<IpNetwork> = cluster.iter().chain(&before.domain).copied().collect();
        own.sort_unstable();
        own.dedup();
        Self { own, rivals: rivals.iter().flat_map(|rival| rival.domain.clone()).collect() }
    }

    /// True when a rival names a smaller network around the destination than we do.
    pub fn is_a_rivals(&self, dst: IpNetwork) -> bool {
        let closest = |all: &[IpNetwork]| {
            all.iter().filter(|net| within(dst, **net)).map(IpNetwork::prefix).max()
        };
        closest(&self.rivals) > closest(&self.own)
    }
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
            &[net("10.0.0.0/8")],
            &record(&["10.7.0.0/16"]),
            &[record(&["10.91.0.0/16", "10.7.0.0/16"]), record(&["fd00::/32"])],
        );
        assert_eq!(scope.own, [net("10.0.0.0/8"), net("10.7.0.0/16")]);
        assert!(scope.is_a_rivals(net("10.91.2.0/24")));
        assert!(!scope.is_a_rivals(net("10.7.2.0/24")));
        assert!(!scope.is_a_rivals(net("10.8.2.0/24")));
        assert!(scope.is_a_rivals(net("fd00:0:1::/64")));
    }
}
