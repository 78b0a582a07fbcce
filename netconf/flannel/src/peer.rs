//! A node in the form of the peer file, from wherever it was told.

use cni::Json;
use kernel::MacAddr;

use crate::End;

/// A node. Networks and addresses are as they were written: whoever reads the peer file checks them,
/// and names what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its pods' networks.
    pub pod_cidrs: Vec<String>,
    /// Its own addresses.
    pub node_ips: Vec<String>,
    /// The hardware address of its VXLAN device for IPv4; otherwise derived from the name.
    pub vtep_mac: Option<MacAddr>,
    /// The same for IPv6.
    pub vtep_mac_v6: Option<MacAddr>,
}

impl Peer {
    /// Its pods of a family are reached there.
    pub fn reached_at(&mut self, end: End) {
        let ipv6 = end.ip.is_ipv6();
        self.node_ips.retain(|ip| is_ipv6(ip) != ipv6);
        self.node_ips.push(end.ip.to_string());
        *(if ipv6 { &mut self.vtep_mac_v6 } else { &mut self.vtep_mac }) = end.vtep;
    }

    /// True when it has pods of the family.
    pub fn has_pods(&self, ipv6: bool) -> bool {
        self.pod_cidrs.iter().any(|cidr| is_ipv6(cidr) == ipv6)
    }

    /// Its pods of a family cannot be reached.
    pub fn without(&mut self, ipv6: bool) {
        self.pod_cidrs.retain(|cidr| is_ipv6(cidr) != ipv6);
        self.node_ips.retain(|ip| is_ipv6(ip) != ipv6);
    }

    /// The entry of a peer file.
    pub fn json(&self) -> Json {
        let list = |texts: &[String]| texts.iter().map(String::as_str).collect::<Json>();
        let mut members = vec![
            ("name".to_owned(), Json::from(self.name.as_str())),
            ("podCIDRs".to_owned(), list(&self.pod_cidrs)),
            ("nodeIPs".to_owned(), list(&self.node_ips)),
        ];
        for (key, mac) in [("vtepMAC", self.vtep_mac), ("vtepMACv6", self.vtep_mac_v6)] {
            members.extend(mac.map(|mac| (key.to_owned(), Json::from(mac.to_string()))));
        }
        Json::Object(members)
    }
}

/// Of a network or an address that may be malformed.
pub(crate) fn is_ipv6(text: &str) -> bool {
    text.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_what_was_told() {
        let mut peer = Peer {
            name: "n2".to_owned(),
            pod_cidrs: vec!["10.244.2.0/24".to_owned(), "fd00:244:0:2::/64".to_owned()],
            node_ips: vec!["192.168.2.2".to_owned(), "fd00::2".to_owned()],
            ..Peer::default()
        };
        let mac = "aa:bb:cc:dd:ee:fe".parse().ok();
        peer.reached_at(End { ip: "192.168.9.2".parse().unwrap(), vtep: mac });
        assert_eq!(
            peer.json().to_string(),
            r#"{"name":"n2","podCIDRs":["10.244.2.0/24","fd00:244:0:2::/64"],"nodeIPs":["fd00::2","192.168.9.2"],"vtepMAC":"aa:bb:cc:dd:ee:fe"}"#
        );
        peer.without(true);
        assert!(peer.has_pods(false) && !peer.has_pods(true));
        assert_eq!(peer.node_ips, ["192.168.9.2"]);
    }
}
