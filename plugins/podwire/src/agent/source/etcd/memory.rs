//! The subnet that this node had, as far as anybody here knows.

use std::path::{Path, PathBuf};

use cni::Json;
use flannel::{Subnet, SubnetEnv};
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use crate::agent::network::Network;
use crate::agent::publish;

/// Where a node's subnets are written down: what the plugins read, and what flannel's does.
#[derive(Debug)]
pub struct Memory(Vec<PathBuf>);

impl Memory {
    /// Of this network.
    pub fn new(network: &Network, subnet_env: Option<&Path>) -> Self {
        let env = subnet_env.unwrap_or(Path::new("/run/flannel/subnet.env"));
        Self(vec![network.peers_file.clone(), env.to_owned()])
    }

    /// The first that is there.
    pub fn subnet(&self) -> Option<Subnet> {
        self.0.iter().find_map(|path| {
            let text = publish::read(path).ok()?;
            let networks: Vec<IpNetwork> = match Json::parse(&text, "it") {
                Ok(tree) => match tree.get("local")?.get("podCIDRs")? {
                    Json::Array(items) => {
                        items.iter().filter_map(|i| i.as_str()?.parse().ok()).collect()
                    }
                    _ => return None,
                },
                Err(_) => {
                    SubnetEnv::parse(&String::from_utf8_lossy(&text)).ok()?.subnets().collect()
                }
            };
            subnet(&networks)
        })
    }
}

/// The first network of each family; a subnet has one of IPv4.
pub fn subnet(networks: &[IpNetwork]) -> Option<Subnet> {
    let v4 = networks.iter().find_map(|net| match net {
        IpNetwork::V4(v4) => Ipv4Network::new(v4.network(), v4.prefix()).ok(),
        IpNetwork::V6(_) => None,
    });
    let v6 = networks.iter().find_map(|net| match net {
        IpNetwork::V6(v6) => Ipv6Network::new(v6.network(), v6.prefix()).ok(),
        IpNetwork::V4(_) => None,
    });
    v4.map(|v4| Subnet { v4, v6 })
}
