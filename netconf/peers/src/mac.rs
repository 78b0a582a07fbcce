//! The hardware address of a node's VXLAN device, where nobody gave one.

use std::net::Ipv6Addr;

use kernel::MacAddr;
use sha2::{Digest, Sha256};

/// 0x66 and the first five bytes of SHA-256 of the node's name, with `-v6` behind it for IPv6: the
/// same on every node and after every boot.
pub fn of(node: &str, ipv6: bool) -> MacAddr {
    let mut digest = Sha256::new();
    digest.update(node.as_bytes());
    if ipv6 {
        digest.update(b"-v6");
    }
    // 0x66 is unicast (bit 0 clear) and locally administered (bit 1 set).
    let mut bytes = [0x66; 6];
    bytes.iter_mut().skip(1).zip(digest.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    MacAddr(bytes)
}

/// The link-local address with the interface identifier that follows from a hardware address (RFC
/// 4291, appendix A).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let (vendor, own) = mac.0.split_at(3);
    let identifier = [vendor, &[0xff, 0xfe], own].concat();
    let mut bytes = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).octets();
    bytes.iter_mut().skip(8).zip(identifier).for_each(|(byte, part)| *byte = part);
    // The bit of local administration means the opposite there.
    Ipv6Addr::from_bits(u128::from_be_bytes(bytes) ^ (2 << 56))
}

#[cfg(test)]
mod tests {
    use super::{link_local, of};

    #[test]
    fn a_link_local_address_holds_the_hardware_address() {
        let mac = "66:ca:1e:f9:a5:ba".parse().unwrap();
        assert_eq!(link_local(mac).to_string(), "fe80::64ca:1eff:fef9:a5ba");
    }

    /// `printf %s n1 | sha256sum`, `printf %s n1-v6 | sha256sum`
    #[test]
    fn an_address_is_the_digest_of_the_name() {
        assert_eq!(of("n1", false).to_string(), "66:67:6b:8b:b8:4c");
        assert_eq!(of("n1", true).to_string(), "66:ca:1e:f9:a5:ba");
    }

    #[test]
    fn the_addresses_of_a_node_differ_by_family() {
        assert_ne!(of("n1", false), of("n1", true));
        assert_eq!(of("n1-v6", false), of("n1", true), "as in other networks of this kind");
    }
}
