//! `/run/flannel/subnet.env`: what the node's daemon tells the CNI plugin.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use cni::{Cidr, Code, Error};
use ipnetwork::IpNetwork;
use kernel::regular;

/// The node's part of a flannel network. At least one family is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetEnv {
    /// All pods' IPv4 networks, `FLANNEL_NETWORK`.
    pub networks: Vec<IpNetwork>,
    /// This node's IPv4 subnet with its first address as host part, `FLANNEL_SUBNET`.
    pub subnet: Option<IpNetwork>,
    /// All pods' IPv6 networks, `FLANNEL_IPV6_NETWORK`.
    pub ipv6_networks: Vec<IpNetwork>,
    /// This node's IPv6 subnet, `FLANNEL_IPV6_SUBNET`.
    pub ipv6_subnet: Option<IpNetwork>,
    /// The pods' MTU in bytes, `FLANNEL_MTU`.
    pub mtu: u32,
    /// The daemon masquerades what leaves the network, so the plugin must not: `FLANNEL_IPMASQ`.
    pub masquerades: bool,
}

/// The file is some hundred bytes.
const LARGEST: u64 = 64 << 10;

/// The keys, in the order in which flannel writes them.
const NETWORK: &str = "FLANNEL_NETWORK";
const SUBNET: &str = "FLANNEL_SUBNET";
const IPV6_NETWORK: &str = "FLANNEL_IPV6_NETWORK";
const IPV6_SUBNET: &str = "FLANNEL_IPV6_SUBNET";
const MTU: &str = "FLANNEL_MTU";
const MASQUERADES: &str = "FLANNEL_IPMASQ";

impl SubnetEnv {
    /// Reads the file at `path`. Code 11 when there is none: the daemon writes it soon after a boot. Code 7
    /// when it does not say all, with the key and value.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let named = |e: Error| e.while_(format!("subnetFile {}", path.display()));
        let file = regular::open(File::options().read(true), path).map_err(|e| {
            let missing = e.kind() == std::io::ErrorKind::NotFound;
            let code = if missing { Code::TRY_AGAIN } else { Code::IO };
            Error::new(code, format!("subnetFile {}: {e}", path.display())).details(if missing {
                "the daemon of the node (flanneld or the agent) writes it when it is up"
            } else {
                ""
            })
        })?;
        let mut bytes = Vec::new();
        file.take(LARGEST)
            .read_to_end(&mut bytes)
            .map_err(|e| named(Error::new(Code::IO, e.to_string())))?;
        Self::parse(&String::from_utf8_lossy(&bytes)).map_err(named)
    }

    /// Reads lines of `KEY=VALUE`; other keys, empty lines and comments pass, of a key that comes twice
    /// the last one counts. Code 7.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let pairs: Vec<(&str, &str)> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
            .collect();
        let get = |wanted: &str| {
            let found = pairs.iter().rev().find(|(key, _)| *key == wanted);
            found.map(|(_, value)| *value).filter(|value| !value.is_empty())
        };
        let env = Self {
            networks: networks(NETWORK, get(NETWORK), false)?,
            subnet: get(SUBNET).map(|text| network(SUBNET, text, false)).transpose()?,
            ipv6_networks: networks(IPV6_NETWORK, get(IPV6_NETWORK), true)?,
            ipv6_subnet: get(IPV6_SUBNET)
                .map(|text| network(IPV6_SUBNET, text, true))
                .transpose()?,
            mtu: number(get(MTU).ok_or_else(|| missing(MTU))?)?,
            masquerades: switch(get(MASQUERADES).ok_or_else(|| missing(MASQUERADES))?)?,
        };
        match (env.subnet, env.ipv6_subnet) {
            (None, None) => Err(missing(SUBNET)),
            (Some(_), _) if env.networks.is_empty() => Err(missing(NETWORK)),
            (_, Some(_)) if env.ipv6_networks.is_empty() => Err(missing(IPV6_NETWORK)),
            _ => Ok(env),
        }
    }

    /// This node's subnets, IPv4 first.
    pub fn subnets(&self) -> impl Iterator<Item = IpNetwork> {
        self.subnet.into_iter().chain(self.ipv6_subnet)
    }

    /// All pods' networks, IPv4 first; of a family without a subnet none.
    pub fn all_networks(&self) -> impl Iterator<Item = IpNetwork> {
        let four = self.networks.iter().filter(|_| self.subnet.is_some());
        let six = self.ipv6_networks.iter().filter(|_| self.ipv6_subnet.is_some());
        four.chain(six).copied()
    }
}

/// As flannel writes it.
impl fmt::Display for SubnetEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |networks: &[IpNetwork]| {
            networks.iter().map(IpNetwork::to_string).collect::<Vec<_>>().join(",")
        };
        if let Some(subnet) = self.subnet {
            writeln!(f, "{NETWORK}={}\n{SUBNET}={subnet}", list(&self.networks))?;
        }
        if let Some(subnet) = self.ipv6_subnet {
            writeln!(f, "{IPV6_NETWORK}={}\n{IPV6_SUBNET}={subnet}", list(&self.ipv6_networks))?;
        }
        writeln!(f, "{MTU}={}\n{MASQUERADES}={}", self.mtu, self.masquerades)
    }
}

fn missing(key: &str) -> Error {
    Error::new(Code::CONFIG, format!("{key} is missing"))
        .details("the file is not whole: see whether the daemon of the node runs")
}

fn refused(key: &str, value: &str, why: &str) -> Error {
    Error::config(key, format_args!("{value:?}"), why)
}

fn networks(key: &str, value: Option<&str>, ipv6: bool) -> Result<Vec<IpNetwork>, Error> {
    value
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(|text| network(key, text, ipv6))
        .collect()
}

fn network(key: &str, text: &str, ipv6: bool) -> Result<IpNetwork, Error> {
    let Cidr(network) = text.trim().parse().map_err(|e| refused(key, text, &format!("{e}")))?;
    if network.is_ipv6() == ipv6 {
        return Ok(network);
    }
    Err(refused(key, text, if ipv6 { "is not of IPv6" } else { "is not of IPv4" }))
}

fn number(text: &str) -> Result<u32, Error> {
    let mtu = text.parse().ok().filter(|mtu| (68..=65535).contains(mtu));
    mtu.ok_or_else(|| refused(MTU, text, "an MTU is 68 to 65535"))
}

fn switch(text: &str) -> Result<bool, Error> {
    text.parse().map_err(|_| refused(MASQUERADES, text, "must be true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As flannel's `WriteSubnetFile` prints it for a dual-stack network.
    const DUAL: &str = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
        FLANNEL_IPV6_NETWORK=fd00:244::/48\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\n\
        FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

    #[test]
    fn what_flannel_writes_is_read_and_written_again() {
        for text in [
            DUAL,
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n",
            "FLANNEL_NETWORK=10.1.0.0/16,10.2.0.0/16\nFLANNEL_SUBNET=10.1.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n",
            "FLANNEL_IPV6_NETWORK=fd00:244::/48\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=false\n",
        ] {
            assert_eq!(SubnetEnv::parse(text).unwrap().to_string(), text);
        }
        let env = SubnetEnv::parse(DUAL).unwrap();
        assert_eq!(env.subnets().count(), 2);
        assert_eq!(env.all_networks().count(), 2);
        assert!(env.masquerades);
    }

    #[test]
    fn what_is_not_whole_names_the_key_and_the_value() {
        let without =
            |key: &str| DUAL.lines().filter(|l| !l.starts_with(key)).collect::<Vec<_>>().join("\n");
        for key in [NETWORK, IPV6_NETWORK, MTU, MASQUERADES] {
            let error = SubnetEnv::parse(&without(&format!("{key}="))).unwrap_err();
            assert_eq!(error.code, Code::CONFIG);
            assert!(error.msg.contains(key), "{error}");
        }
        assert!(SubnetEnv::parse("").is_err());
        for (old, new) in [
            ("10.244.0.0/16", "10.244.0.0"),
            ("10.244.1.1/24", "fd00::/64"),
            ("1450", "9"),
            ("1450", "1e3"),
            ("true", "yes"),
            ("fd00:244::/48", "10.0.0.0/8"),
        ] {
            let error = SubnetEnv::parse(&DUAL.replace(old, new)).unwrap_err();
            assert!(error.msg.contains(new), "{error}");
        }
        // A file cut off anywhere is an error or says the same as far as it goes.
        for length in 0..DUAL.len() {
            let _ = SubnetEnv::parse(DUAL.get(..length).unwrap());
        }
    }

    #[test]
    fn a_missing_file_may_come_and_others_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("subnet.env");
        let missing = SubnetEnv::read(&path).unwrap_err();
        assert_eq!(missing.code, Code::TRY_AGAIN);
        assert!(missing.msg.contains("subnet.env"), "{missing}");
        assert_eq!(SubnetEnv::read(directory.path()).unwrap_err().code, Code::IO);
        std::fs::write(&path, DUAL.replace("1450", "x")).unwrap();
        let bad = SubnetEnv::read(&path).unwrap_err();
        assert!(bad.to_string().contains("subnet.env") && bad.msg.contains("FLANNEL_MTU"), "{bad}");
        std::fs::write(&path, DUAL).unwrap();
        assert_eq!(SubnetEnv::read(&path).unwrap().mtu, 1450);
    }
}
