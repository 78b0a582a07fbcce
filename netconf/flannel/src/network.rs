//! The `config` key in etcd: the whole network, and which part of it a node gets.

use cni::{Code, Error, Json};
use ipnetwork::IpNetwork;
use serde::Deserialize;

use crate::attributes::address;
use crate::range::Division;
use crate::{Backend, Range};

/// A network whose subnets are leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The IPv4 subnets; every node has one.
    pub v4: Range,
    /// The IPv6 subnets, where the network has them.
    pub v6: Option<Range>,
}

/// As it is written (flannel, `pkg/subnet/config.go`).
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Raw {
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    network: String,
    #[serde(rename = "IPv6Network")]
    ipv6_network: String,
    subnet_len: u8,
    subnet_min: String,
    subnet_max: String,
    #[serde(rename = "IPv6SubnetLen")]
    ipv6_subnet_len: u8,
    #[serde(rename = "IPv6SubnetMin")]
    ipv6_subnet_min: String,
    #[serde(rename = "IPv6SubnetMax")]
    ipv6_subnet_max: String,
    backend: Option<RawBackend>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RawBackend {
    r#type: String,
    #[serde(rename = "VNI")]
    vni: Option<u32>,
}

impl Network {
    /// Reads it for a network of this way; `what` names it in errors. Code 6 or 7.
    pub fn parse(text: &[u8], what: &str, backend: Backend) -> Result<Self, Error> {
        let raw: Raw = Json::parse(text, what)?.decode().map_err(|e| e.while_(what))?;
        raw.check(backend).map_err(|e| e.while_(what))
    }

    /// All pods' networks.
    pub fn all(&self) -> impl Iterator<Item = IpNetwork> {
        [Some(self.v4), self.v6].into_iter().flatten().map(|range| range.network)
    }
}

impl Raw {
    fn check(&self, backend: Backend) -> Result<Network, Error> {
        // What flannel takes for a network without a backend.
        let (kind, vni) = match &self.backend {
            None => ("udp", None),
            Some(backend) => (backend.r#type.as_str(), backend.vni),
        };
        if kind != backend.name() {
            let why = format!("the conflist has a network of type {}", backend.name());
            return Err(Error::config("Backend.Type", format_args!("{kind:?}"), &why));
        }
        if let (Backend::Vxlan { vni: ours }, Some(theirs)) = (backend, vni)
            && ours != theirs
        {
            let why = format!("the conflist has vni {ours}");
            return Err(Error::config("Backend.VNI", theirs, &why));
        }
        if self.enable_ipv4 == Some(false) {
            let why = "each lease is found by its IPv4 subnet";
            return Err(Error::config("EnableIPv4", false, why));
        }
        let v4 = range(
            ("Network", &self.network),
            ("SubnetLen", self.subnet_len),
            [("SubnetMin", &self.subnet_min), ("SubnetMax", &self.subnet_max)],
            false,
        )?;
        let v6 = if self.enable_ipv6 {
            Some(range(
                ("IPv6Network", &self.ipv6_network),
                ("IPv6SubnetLen", self.ipv6_subnet_len),
                [
                    ("IPv6SubnetMin", &self.ipv6_subnet_min),
                    ("IPv6SubnetMax", &self.ipv6_subnet_max),
                ],
                true,
            )?)
        } else {
            None
        };
        Ok(Network { v4, v6 })
    }
}

fn range(
    (key, text): (&str, &str),
    length: (&str, u8),
    [first, last]: [(&str, &str); 2],
    ipv6: bool,
) -> Result<Range, Error> {
    if text.is_empty() {
        return Err(Error::new(Code::CONFIG, format!("{key} is missing")));
    }
    let refused = |why: &str| Error::config(key, format_args!("{text:?}"), why);
    let cni::Cidr(network) = text.parse().map_err(|e: cni::NotCidr| refused(&e.to_string()))?;
    if network.is_ipv6() != ipv6 {
        return Err(refused("is of the other family"));
    }
    // flannel's `net.ParseCIDR` keeps the network alone.
    let network =
        IpNetwork::new(network.network(), network.prefix()).map_err(|e| refused(&e.to_string()))?;
    let bound = |(key, text)| match text {
        "" => Ok(None),
        text => address(key, text, ipv6).map(Some),
    };
    Range::new(
        key,
        network,
        &Division { length, first: (first.0, bound(first)?), last: (last.0, bound(last)?) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const VXLAN: Backend = Backend::Vxlan { vni: 1 };

    fn parse(text: &str) -> Result<Network, Error> {
        Network::parse(text.as_bytes(), "config", VXLAN)
    }

    fn free(range: &Range, taken: &[&str]) -> Vec<String> {
        let taken: Vec<_> = taken.iter().map(|net| net.parse().unwrap()).collect();
        range.free(&taken).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_network_is_divided_as_flannel_does_it() {
        let network =
            parse(r#"{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}"#).unwrap();
        assert_eq!(network.v6, None);
        let all = free(&network.v4, &[]);
        assert_eq!((all.len(), all[0].as_str()), (100, "10.244.1.0/24"));
        assert!(network.v4.has("10.244.255.0/24".parse().unwrap()));
        for other in ["10.244.0.0/24", "10.244.1.0/25", "10.245.1.0/24", "fd00::/24"] {
            assert!(!network.v4.has(other.parse().unwrap()), "{other}");
        }
        let small = parse(r#"{"network": "10.5.0.0/26", "Backend": {"Type": "vxlan", "VNI": 1}}"#);
        let small = small.unwrap();
        assert_eq!(free(&small.v4, &[]), ["10.5.0.16/28", "10.5.0.32/28", "10.5.0.48/28"]);
        let dual = parse(
            r#"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.9.0", "SubnetMax": "10.244.9.0",
            "EnableIPv6": true, "IPv6Network": "fd00:244::/48", "Backend": {"Type": "vxlan"}}"#,
        )
        .unwrap();
        assert_eq!(free(&dual.v4, &[]), ["10.244.9.0/24"]);
        assert_eq!(free(&dual.v6.unwrap(), &[])[0], "fd00:244:0:1::/64");
        assert_eq!(dual.all().count(), 2);
    }

    #[test]
    fn what_overlaps_a_lease_is_not_free() {
        let network =
            parse(r#"{"Network": "10.5.0.0/21", "SubnetLen": 24, "Backend": {"Type": "vxlan"}}"#);
        let range = network.unwrap().v4;
        for (taken, expected) in [
            (&["10.5.2.0/24", "10.5.1.0/24"][..], &["3", "4", "5", "6", "7"][..]),
            (&["10.5.4.0/22"], &["1", "2", "3"]),
            (&["10.5.1.128/25", "10.5.7.8/30"], &["2", "3", "4", "5", "6"]),
            (&["10.0.0.0/8"], &[]),
            (&["10.5.2.0/23", "10.5.2.0/24", "10.5.3.0/24"], &["1", "4", "5", "6", "7"]),
            (&["fd00::/8"], &["1", "2", "3", "4", "5", "6", "7"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|n| format!("10.5.{n}.0/24")).collect();
            assert_eq!(free(&range, taken), expected, "{taken:?}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_named() {
        for (text, says) in [
            ("", "config is not JSON"),
            ("[]", "must be"),
            ("{}", "Backend.Type \"udp\": the conflist has a network of type vxlan"),
            (r#"{"Backend": {"Type": "host-gw"}}"#, "Backend.Type \"host-gw\""),
            (
                r#"{"Backend": {"Type": "vxlan", "VNI": 7}}"#,
                "Backend.VNI 7: the conflist has vni 1",
            ),
            (r#"{"Backend": {"Type": "vxlan"}}"#, "Network is missing"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.msg.contains(says), "{text}: {error}");
        }
        for (members, says) in [
            (r#""Network": "10.0.0.0""#, "Network \"10.0.0.0\""),
            (r#""Network": "fd00::/48""#, "other family"),
            (r#""Network": "10.0.0.0/29""#, "no room for four"),
            (r#""Network": "10.0.0.0/16", "SubnetLen": 17"#, "SubnetLen 17: must be 18 to 30"),
            (r#""Network": "10.0.0.0/16", "SubnetLen": 31"#, "SubnetLen 31"),
            (
                r#""Network": "10.0.0.0/16", "SubnetMin": "10.1.0.0""#,
                "SubnetMin 10.1.0.0: is not in",
            ),
            (
                r#""Network": "10.0.0.0/16", "SubnetMax": "10.0.9.1""#,
                "SubnetMax 10.0.9.1: does not",
            ),
            (r#""Network": "10.0.0.0/16", "SubnetMax": "x""#, "SubnetMax \"x\""),
            (r#""Network": "10.0.0.0/16", "EnableIPv4": false"#, "EnableIPv4 false"),
            (r#""Network": "10.0.0.0/16", "EnableIPv6": true"#, "IPv6Network is missing"),
        ] {
            let error =
                parse(&format!(r#"{{"Backend": {{"Type": "vxlan"}}, {members}}}"#)).unwrap_err();
            assert!(error.msg.starts_with("config: ") && error.msg.contains(says), "{error}");
        }
    }
}
