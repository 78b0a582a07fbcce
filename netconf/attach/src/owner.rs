//! The marks by which we know our own links again.

use std::collections::BTreeSet;

use cni::{Attachment, ContainerId, IfName, NetworkName};
use sha2::{Digest, Sha256};

/// The kernel's limit for an alias is 255 bytes (`IFALIASZ` less its NUL).
const LONGEST_ALIAS: usize = 255;

/// The alias of an attachment's host link. It names the attachment; where the names are too long
/// for an alias, a digest stands for them.
pub fn alias(attachment: &Attachment) -> String {
    let Attachment { network, container, ifname } = attachment;
    let plain = format!("podwire:{network}:{container}:{ifname}");
    if plain.len() <= LONGEST_ALIAS {
        return plain;
    }
    let member = digest(&format!("{container}:{ifname}"));
    format!("{}{member}", hashed_prefix(network))
}

/// True when an alias is that of an attachment to `network`.
fn is_of_network(alias: &str, network: &NetworkName) -> bool {
    // No name can hold a colon, so the prefix cannot be another network's.
    alias.starts_with(&format!("podwire:{network}:")) || alias.starts_with(&hashed_prefix(network))
}

/// Tells of an alias whether it is that of an attachment to `network` which is not among `valid`.
pub fn stale<'a>(
    network: &'a NetworkName,
    valid: &BTreeSet<(ContainerId, IfName)>,
) -> impl Fn(&str) -> bool + 'a {
    let named = |(container, ifname): &(ContainerId, IfName)| {
        let (network, container, ifname) = (network.clone(), container.clone(), ifname.clone());
        alias(&Attachment { network, container, ifname })
    };
    let keep: BTreeSet<String> = valid.iter().map(named).collect();
    move |alias| is_of_network(alias, network) && !keep.contains(alias)
}

/// True when an alias is one of ours, of whatever attachment.
pub fn is_ours(alias: &str) -> bool {
    alias.starts_with("podwire:")
}

/// The name of an attachment's host link: `veth` and 11 hexadecimal digits of a digest, so that
/// DEL and the firewall know it without looking anything up. `attempt` counts from 0; a name that
/// somebody else has taken is given up for the next one.
pub fn link_name(attachment: &Attachment, attempt: u32) -> String {
    let mut digest = digest(&format!("{attachment}/{attempt}"));
    digest.truncate(11);
    format!("veth{digest}")
}

/// The name of the bridge port behind a VLAN's gateway interface.
pub fn gateway_port_name(gateway: &IfName) -> String {
    let mut digest = digest(&format!("gateway/{gateway}"));
    digest.truncate(11);
    format!("veth{digest}")
}

/// The file name of an attachment's record.
pub fn record_name(attachment: &Attachment) -> String {
    let Attachment { network, container, ifname } = attachment;
    format!("{}{}", record_prefix(network), digest(&format!("{container}:{ifname}")))
}

/// What the file names of all records of a network begin with.
pub fn record_prefix(network: &NetworkName) -> String {
    format!("{}-", digest(network.as_str()))
}

fn hashed_prefix(network: &NetworkName) -> String {
    format!("podwire:#{}:", digest(network.as_str()))
}

/// 128 bits of SHA-256 in hexadecimal.
fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes()).iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(network: &str, container: &str) -> Attachment {
        Attachment {
            network: network.parse().unwrap(),
            container: container.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        }
    }

    #[test]
    fn an_alias_tells_its_network_however_long_the_names_are() {
        for length in [1, 100, 180, 300] {
            let ours = attachment(&"n".repeat(length), &"c".repeat(length));
            let alias = alias(&ours);
            assert!(alias.len() <= LONGEST_ALIAS, "{alias}");
            assert!(is_ours(&alias));
            assert!(is_of_network(&alias, &ours.network));
            assert!(!is_of_network(&alias, &"n2".parse().unwrap()));
            assert!(!is_of_network(&alias, &"nn".parse().unwrap()) || length == 2);
        }
    }

    #[test]
    fn link_names_fit_and_differ() {
        let a = link_name(&attachment("n", "a"), 0);
        assert_eq!(a.len(), 15);
        assert!(a.parse::<IfName>().is_ok());
        assert_ne!(a, link_name(&attachment("n", "b"), 0));
        assert_ne!(a, link_name(&attachment("n", "a"), 1));
    }
}
