//! Whose an element is: `NETWORK/CONTAINER/INTERFACE` in its comment, for DEL, GC and the reader
//! of `nft list ruleset`.
//!
//! nft reads comments of up to 127 bytes, and ids are longer than that at times. A name that is
//! too long, or that nft could not print, is told by a hash of it, behind a `#`, which stands in
//! no container id and no network name. So every comment can be compared, and mostly be read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use kernel::MacAddr;
use sha2::{Digest as _, Sha512};

/// 28 + 64 + 15 bytes, two slashes, a blank and a hardware address are 127.
const NETWORK: usize = 28;
const CONTAINER: usize = 64;
const INTERFACE: usize = 15;

/// The comment of an attachment's elements.
pub(crate) fn comment(attachment: &Attachment) -> String {
    let container = container(&attachment.container);
    let interface = interface(&attachment.ifname);
    format!("{}/{container}/{interface}", network(&attachment.network))
}

/// The same for a guarded link, whose hardware address is told behind a blank.
pub(crate) fn with_mac(owner: &str, mac: MacAddr) -> String {
    format!("{owner} {mac}")
}

/// The owner in a comment, and the hardware address.
pub(crate) fn split(comment: &str) -> (&str, Option<MacAddr>) {
    match comment.split_once(' ') {
        Some((owner, mac)) => (owner, mac.parse().ok()),
        None => (comment, None),
    }
}

/// The attachment that an owner's name tells in full.
pub(crate) fn attachment(owner: &str) -> Option<Attachment> {
    let mut parts = owner.split('/');
    let (network, container, ifname) = (parts.next()?, parts.next()?, parts.next()?);
    // A digest begins with what no name of a network or container does.
    Some(Attachment {
        network: network.parse().ok()?,
        container: container.parse().ok()?,
        ifname: ifname.parse().ok().filter(|_| !ifname.starts_with('#'))?,
    })
}

/// The network in an owner's name.
pub(crate) fn network_of(owner: &str) -> &str {
    owner.split('/').next().unwrap_or_default()
}

/// The container in an owner's name.
pub(crate) fn container_of(owner: &str) -> &str {
    owner.split('/').nth(1).unwrap_or_default()
}

/// Which attachments of a network are still there.
pub(crate) struct Census {
    network: String,
    valid: BTreeSet<String>,
}

impl Census {
    pub(crate) fn new(name: &NetworkName, valid: &BTreeSet<(ContainerId, IfName)>) -> Self {
        let network = network(name);
        let owner =
            |(id, link): &(_, _)| format!("{network}/{}/{}", container(id), interface(link));
        Self { valid: valid.iter().map(owner).collect(), network }
    }

    /// True for an owner of this network that is gone.
    pub(crate) fn misses(&self, owner: &str) -> bool {
        let mut parts = owner.split('/');
        parts.next() == Some(&self.network) && parts.count() == 2 && !self.valid.contains(owner)
    }
}

fn network(name: &NetworkName) -> String {
    short(name.as_str(), NETWORK)
}

fn container(id: &ContainerId) -> String {
    short(id.as_str(), CONTAINER)
}

fn interface(name: &IfName) -> String {
    short(name.as_str(), INTERFACE)
}

/// `name`, or the beginning of its hash where it cannot stand in a comment.
fn short(name: &str, limit: usize) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.len() <= limit && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("#{}", hash(name, limit.min(33) - 1))
}

/// The first hexadecimal digits of a text's SHA-512.
pub(crate) fn hash(text: &str, digits: usize) -> String {
    let mut hex = Sha512::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    });
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(network: &str, container: &str, ifname: &str) -> Attachment {
        Attachment {
            network: network.parse().unwrap(),
            container: container.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        }
    }

    #[test]
    fn names_of_usual_length_are_legible() {
        let id = "a".repeat(64);
        let owner = comment(&attachment("k8s.pod-network_1", &id, "eth0"));
        assert_eq!(owner, format!("k8s.pod-network_1/{id}/eth0"));
    }

    #[test]
    fn a_name_that_is_told_in_full_is_read_back() {
        let known = attachment("net", "c1", "eth0");
        assert_eq!(super::attachment(&comment(&known)), Some(known));
        for odd in [attachment("net", &"c".repeat(65), "eth0"), attachment("net", "c1", "a\"b")] {
            assert_eq!(super::attachment(&comment(&odd)), None);
        }
        assert_eq!(super::attachment("somebody's"), None);
    }

    #[test]
    fn the_longest_names_fit_and_are_told_apart() {
        let long = |last: char| "n".repeat(300) + &last.to_string();
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let mut seen = BTreeSet::new();
        for network in ['a', 'b'] {
            for container in ['a', 'b'] {
                for ifname in ["eth0", "äöüäöüä", "a\"b\"c", "fifteen-bytes-x"] {
                    let owner = comment(&attachment(&long(network), &long(container), ifname));
                    let all = with_mac(&owner, mac);
                    assert!(all.len() <= 127, "{all}");
                    assert_eq!(split(&all), (owner.as_str(), Some(mac)));
                    assert!(seen.insert(owner));
                }
            }
        }
    }

    #[test]
    fn the_census_misses_the_gone_of_its_own_network_alone() {
        let long = "c".repeat(200);
        let valid = BTreeSet::from([(long.parse().unwrap(), "eth0".parse().unwrap())]);
        let census = Census::new(&"net".parse().unwrap(), &valid);
        assert!(!census.misses(&comment(&attachment("net", &long, "eth0"))));
        assert!(census.misses(&comment(&attachment("net", &long, "eth1"))));
        assert!(!census.misses(&comment(&attachment("net2", &long, "eth1"))));
        assert!(!census.misses("net"));
        assert!(!census.misses("somebody's own words"));
    }
}
