//! A subnet's lease in etcd: the key says whose pods, the value how the node is reached.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use cni::{Error, Json};
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use serde::Deserialize;

use crate::attributes::Written;
use crate::{Attributes, Backend, Peer};

/// A node's subnets. Written as the last part of a key: `10.244.1.0-24`, with IPv6
/// `10.244.1.0-24&fd00:244:0:1::-64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    /// IPv4.
    pub v4: Ipv4Network,
    /// IPv6, where the network has it.
    pub v6: Option<Ipv6Network>,
}

impl Subnet {
    /// The subnets, IPv4 first.
    pub fn networks(&self) -> impl Iterator<Item = IpNetwork> {
        [Some(IpNetwork::V4(self.v4)), self.v6.map(IpNetwork::V6)].into_iter().flatten()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.v4.ip(), self.v4.prefix())?;
        self.v6.map_or(Ok(()), |v6| write!(f, "&{}-{}", v6.ip(), v6.prefix()))
    }
}

impl FromStr for Subnet {
    type Err = Error;

    /// Reads the last part of a key. Code 7.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (v4, v6) = match text.split_once('&') {
            Some((v4, v6)) => (v4, Some(v6)),
            None => (text, None),
        };
        let whole = || {
            let (ip, length) = v4.rsplit_once('-')?;
            let v4 = Ipv4Network::new(ip.parse::<Ipv4Addr>().ok()?, length.parse().ok()?).ok()?;
            let v6 = match v6 {
                None => None,
                Some(v6) => {
                    let (ip, length) = v6.rsplit_once('-')?;
                    Some(
                        Ipv6Network::new(ip.parse::<Ipv6Addr>().ok()?, length.parse().ok()?)
                            .ok()?,
                    )
                }
            };
            Some(Self { v4, v6 })
        };
        whole().ok_or_else(|| {
            let why = "must be as in 10.244.1.0-24 or 10.244.1.0-24&fd00:244:0:1::-64";
            Error::config("key", format_args!("{text:?}"), why)
        })
    }
}

/// The value as it is written (flannel, `pkg/lease/lease.go`, `LeaseAttrs`).
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Value {
    #[serde(rename = "PublicIP")]
    public_ip: String,
    #[serde(rename = "PublicIPv6")]
    public_ipv6: Option<String>,
    backend_type: String,
    backend_data: Json,
    #[serde(rename = "BackendV6Data")]
    backend_v6_data: Json,
}

/// Who has a subnet, and how it is reached.
#[derive(Debug)]
pub struct Lease {
    /// The subnet.
    pub subnet: Subnet,
    value: Value,
}

impl Lease {
    /// Reads the last part of a key, and its value. Code 6 or 7, with the key.
    pub fn parse(key: &str, value: &[u8]) -> Result<Self, Error> {
        let subnet = key.parse()?;
        let value = Json::parse(value, "the value").and_then(|json| json.decode());
        Ok(Self { subnet, value: value.map_err(|e| e.while_(key))? })
    }

    /// The value that tells this of a node, as flannel writes it.
    pub fn value(backend: Backend, attributes: &Attributes) -> String {
        let ip = |ipv6| attributes.of(ipv6).map(|end| Json::from(end.ip.to_string()));
        // Go's zero address: flannel has no lease without IPv4.
        let none = || Json::from(Ipv4Addr::UNSPECIFIED.to_string());
        let mut members = vec![
            ("PublicIP".to_owned(), ip(false).unwrap_or_else(none)),
            ("PublicIPv6".to_owned(), ip(true).unwrap_or_default()),
            ("BackendType".to_owned(), backend.name().into()),
        ];
        for (ipv6, key) in [(false, "BackendData"), (true, "BackendV6Data")] {
            let data = attributes.of(ipv6).map(|end| backend.data(end.vtep));
            let data = data.and_then(|data| Json::parse(data.as_bytes(), key).ok());
            members.extend(data.filter(|d| *d != Json::Null).map(|d| (key.to_owned(), d)));
        }
        Json::Object(members).to_string()
    }

    /// The address by which a node knows its own lease again.
    pub fn public_ip(&self) -> Option<Ipv4Addr> {
        self.value.public_ip.parse().ok()
    }

    /// The node as a peer, by the name of its subnet, for nothing else tells who it is; and all that
    /// is wrong with it, with the key within the value. `None` where no pods can be reached.
    pub fn peer(&self, backend: Backend) -> (Option<Peer>, Vec<Error>) {
        let Value { public_ip, public_ipv6, backend_type, backend_data, backend_v6_data } =
            &self.value;
        if backend_type != backend.name() {
            let why = format!(
                "the peer is of another kind than this network, which is {}",
                backend.name()
            );
            let e = Error::config("BackendType", format_args!("{backend_type:?}"), &why);
            return (None, vec![e]);
        }
        let mut peer = Peer {
            name: self.subnet.to_string(),
            pod_cidrs: self.subnet.networks().map(|net| net.to_string()).collect(),
            ..Peer::default()
        };
        let v4 = Written {
            ipv6: false,
            ip: ("PublicIP", Some(public_ip)),
            data: ("BackendData", backend_data),
        };
        let v6 = Written {
            ipv6: true,
            ip: ("PublicIPv6", public_ipv6.as_deref()),
            data: ("BackendV6Data", backend_v6_data),
        };
        let mut wrong = Vec::new();
        for written in [v4, v6] {
            if !peer.has_pods(written.ipv6) {
                continue;
            }
            match written.read(backend) {
                Ok(end) => peer.reached_at(end),
                Err(e) => {
                    peer.without(written.ipv6);
                    wrong.push(e);
                }
            }
        }
        (Some(peer).filter(|peer| !peer.pod_cidrs.is_empty()), wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::End;

    const VXLAN: Backend = Backend::Vxlan { vni: 1 };
    /// As flannel's `LeaseAttrs` are marshalled.
    const V4: &str = r#"{"PublicIP":"192.168.2.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}}"#;
    const DUAL: &str = r#"{"PublicIP":"192.168.2.1","PublicIPv6":"fd00::1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"},"BackendV6Data":{"VNI":1,"VtepMAC":"22:3b:5d:11:80:da"}}"#;
    const HOST_GW: &str = r#"{"PublicIP":"192.168.2.1","PublicIPv6":null,"BackendType":"host-gw"}"#;
    const DUAL_KEY: &str = "10.244.1.0-24&fd00:244:0:1::-64";

    fn attributes(peer: &Peer) -> Attributes {
        let end = |ipv6: bool, vtep| {
            let ip = peer.node_ips.iter().filter_map(|ip| ip.parse().ok());
            let mut ip = ip.filter(|ip: &std::net::IpAddr| ip.is_ipv6() == ipv6);
            ip.next().map(|ip| End { ip, vtep })
        };
        Attributes { v4: end(false, peer.vtep_mac), v6: end(true, peer.vtep_mac_v6) }
    }

    #[test]
    fn what_flannel_writes_is_read_and_written_again() {
        for (key, value, backend) in [
            ("10.244.1.0-24", V4, VXLAN),
            (DUAL_KEY, DUAL, VXLAN),
            ("10.244.1.0-24", HOST_GW, Backend::HostGw),
        ] {
            let lease = Lease::parse(key, value.as_bytes()).unwrap();
            assert_eq!(lease.subnet.to_string(), key);
            assert_eq!(lease.public_ip(), Some(Ipv4Addr::new(192, 168, 2, 1)));
            let (peer, wrong) = lease.peer(backend);
            let peer = peer.unwrap();
            assert_eq!((wrong.len(), peer.name.as_str()), (0, key));
            assert_eq!(Lease::value(backend, &attributes(&peer)), value);
        }
        let peer = Lease::parse(DUAL_KEY, DUAL.as_bytes()).unwrap().peer(VXLAN).0.unwrap();
        assert_eq!(peer.pod_cidrs, ["10.244.1.0/24", "fd00:244:0:1::/64"]);
        // Documented values have no PublicIPv6, and flannel-rs publishes the hardware address alone.
        let short = r#"{"PublicIP":"192.168.2.1","BackendType":"vxlan","BackendData":{"VtepMAC":"aa:bb:cc:dd:ee:fe"}}"#;
        let lease = Lease::parse("10.244.1.0-24", short.as_bytes()).unwrap();
        assert_eq!(lease.peer(VXLAN).1, []);
    }

    #[test]
    fn what_is_no_subnet_is_named() {
        for key in [
            "",
            "-",
            "10.244.1.0",
            "10.244.1.0/24",
            "10.244.1.0-33",
            "10.244.1.0-",
            "x-24",
            "10.244.1.0-24&",
            "10.244.1.0-24&fd00::",
            "10.244.1.0-24&10.0.0.0-8",
            "fd00::-64",
        ] {
            let error = Lease::parse(key, V4.as_bytes()).unwrap_err();
            assert!(error.msg.starts_with(&format!("key {key:?}: ")), "{error}");
        }
    }

    #[test]
    fn what_is_malformed_is_named_and_takes_away_its_family_alone() {
        for (value, says) in [
            ("", "10.244.1.0-24: the value is not JSON"),
            ("[]", "10.244.1.0-24: "),
            (r#"{"PublicIP":7}"#, "PublicIP 7"),
        ] {
            let error = Lease::parse("10.244.1.0-24", value.as_bytes()).unwrap_err();
            assert!(error.msg.contains(says), "{error}");
        }
        for (old, new, says, ipv6) in [
            (r#""192.168.2.1""#, r#""192.168.2""#, "PublicIP \"192.168.2\"", false),
            (r#""fd00::1""#, "null", "PublicIPv6 is missing", true),
            ("aa:bb:cc:dd:ee:fe", "ff:ff:ff:ff:ff:ff", "BackendData {", false),
            (r#","BackendV6Data":"#, r#","Else":"#, "BackendV6Data null", true),
        ] {
            let lease = Lease::parse(DUAL_KEY, DUAL.replace(old, new).as_bytes()).unwrap();
            let (peer, wrong) = lease.peer(VXLAN);
            assert!(peer.is_some_and(|p| p.has_pods(!ipv6) && !p.has_pods(ipv6)), "{says}");
            assert!(wrong.len() == 1 && wrong[0].msg.starts_with(says), "{wrong:?}");
        }
        let lease = Lease::parse("10.244.1.0-24", HOST_GW.as_bytes()).unwrap();
        let (peer, wrong) = lease.peer(VXLAN);
        assert_eq!(peer, None);
        assert!(wrong[0].msg.starts_with("BackendType \"host-gw\": the peer is of another kind"));
    }
}
