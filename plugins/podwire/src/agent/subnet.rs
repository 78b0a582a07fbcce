//! `subnet.env`, for flannel's plugin.

use std::net::IpAddr;
use std::path::Path;

use cni::Error;
use flannel::SubnetEnv;
use ipnetwork::IpNetwork;
use peers::Outcome;

use super::publish::{Form, publish};

/// Writes it. What masquerades is the plugin that attaches the pods, so where the network wants it
/// the file says that nobody else does.
pub fn write(path: &Path, outcome: &Outcome, masquerade: bool) -> Result<bool, Error> {
    let networks = |ipv6: bool| -> Vec<IpNetwork> {
        outcome.fleet.cluster.iter().copied().filter(|net| net.is_ipv6() == ipv6).collect()
    };
    let subnet = |ipv6: bool| outcome.fleet.local.pods(ipv6).next().and_then(with_first_address);
    let env = SubnetEnv {
        networks: networks(false),
        subnet: subnet(false),
        ipv6_networks: networks(true),
        ipv6_subnet: subnet(true),
        mtu: outcome.ground.mtu,
        masquerades: !masquerade,
    };
    publish(path, Form::SubnetEnv, env.to_string().as_bytes(), 0o644)
}

/// The network with its first address as host part, as flannel writes a subnet.
fn with_first_address(net: IpNetwork) -> Option<IpNetwork> {
    let first: IpAddr = match net.network() {
        IpAddr::V4(ip) => std::net::Ipv4Addr::from_bits(ip.to_bits().saturating_add(1)).into(),
        IpAddr::V6(ip) => std::net::Ipv6Addr::from_bits(ip.to_bits().saturating_add(1)).into(),
    };
    IpNetwork::new(first, net.prefix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_bears_its_first_address() {
        for (net, subnet) in
            [("10.244.1.0/24", "10.244.1.1/24"), ("fd00:244:0:1::/64", "fd00:244:0:1::1/64")]
        {
            let first = with_first_address(net.parse().unwrap()).unwrap();
            assert_eq!(first.to_string(), subnet);
        }
    }
}
