//! Which of two leases that say the same of their nodes is believed: the one that comes first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use flannel::Peer;
use ipnetwork::IpNetwork;
use kernel::MacAddr;

/// What the leases so far have.
pub struct Taken<'p> {
    /// What all pods' addresses are in.
    cluster: &'p [IpNetwork],
    ips: HashMap<&'p str, &'p str>,
    macs: HashMap<(bool, MacAddr), &'p str>,
    /// By their first address; none overlaps another.
    nets: BTreeMap<IpAddr, (IpNetwork, &'p str)>,
}

impl<'p> Taken<'p> {
    /// What this node has, which nobody takes from it.
    pub fn new(cluster: &'p [IpNetwork], local: &'p Peer) -> Self {
        let mut taken =
            Self { cluster, ips: HashMap::new(), macs: HashMap::new(), nets: BTreeMap::new() };
        taken.add(local);
        taken
    }

    /// Has a lease beside all those before, or says what is another one's. What has no part in the
    /// network takes nothing, and is left to the fleet to name; so is what is this node's own.
    pub fn take(&mut self, peer: &'p Peer) -> Result<(), String> {
        let within = |net: IpNetwork| {
            self.cluster.iter().any(|all| all.prefix() <= net.prefix() && all.contains(net.ip()))
        };
        if !networks(peer).all(within) {
            return Ok(());
        }
        let owner = |name: &str| format!("{name} has that already, with a lease that comes first");
        for ip in &peer.node_ips {
            if let Some(name) = self.ips.get(ip.as_str()) {
                return Err(format!("nodeIPs {ip}: {}", owner(name)));
            }
        }
        for (family, mac) in macs(peer) {
            if let Some(name) = self.macs.get(&(family, mac)) {
                return Err(format!("vtepMAC {mac}: {}", owner(name)));
            }
        }
        for net in networks(peer) {
            if let Some((other, name)) = self.overlapping(net) {
                return Err(format!("podCIDRs {net}: overlaps {other}; {}", owner(name)));
            }
        }
        self.add(peer);
        Ok(())
    }

    fn overlapping(&self, net: IpNetwork) -> Option<(IpNetwork, &'p str)> {
        // The last one that begins before its end; another one before that ends before this one begins.
        let (_, found) = self.nets.range(..=net.broadcast()).next_back()?;
        let same = found.0.is_ipv6() == net.is_ipv6();
        (same && found.0.broadcast() >= net.network()).then_some(*found)
    }

    fn add(&mut self, peer: &'p Peer) {
        let name = peer.name.as_str();
        self.ips.extend(peer.node_ips.iter().map(|ip| (ip.as_str(), name)));
        self.macs.extend(macs(peer).map(|mac| (mac, name)));
        self.nets.extend(networks(peer).map(|net| (net.network(), (net, name))));
    }
}

fn macs(peer: &Peer) -> impl Iterator<Item = (bool, MacAddr)> {
    let of = |ipv6: bool, mac: Option<MacAddr>| mac.filter(|_| peer.has_pods(ipv6));
    let (v4, v6) = (of(false, peer.vtep_mac), of(true, peer.vtep_mac_v6));
    [v4.map(|mac| (false, mac)), v6.map(|mac| (true, mac))].into_iter().flatten()
}

fn networks(peer: &Peer) -> impl Iterator<Item = IpNetwork> {
    peer.pod_cidrs.iter().filter_map(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, nets: &[&str], ip: &str, mac: &str) -> Peer {
        Peer {
            name: name.to_owned(),
            pod_cidrs: nets.iter().map(|net| (*net).to_owned()).collect(),
            node_ips: vec![ip.to_owned()],
            vtep_mac: mac.parse().ok(),
            vtep_mac_v6: None,
        }
    }

    #[test]
    fn who_comes_first_has_it() {
        let cluster = ["10.244.0.0/16".parse().unwrap(), "fd00:244::/32".parse().unwrap()];
        let local = peer("own", &["10.244.9.0/24"], "192.168.2.9", "02:00:00:00:00:09");
        let first =
            peer("first", &["10.244.1.0/24", "fd00:244::/64"], "192.168.2.1", "02:00:00:00:00:01");
        let (net, ip, mac) = (&["10.244.2.0/24"], "192.168.2.2", "02:00:00:00:00:02");
        let others = [
            (peer("a", net, "192.168.2.1", mac), "nodeIPs 192.168.2.1: first"),
            (peer("a", net, ip, "02:00:00:00:00:01"), "vtepMAC 02:00:00:00:00:01: first"),
            (peer("a", &["10.244.1.128/25"], ip, mac), "overlaps 10.244.1.0/24; first"),
            (peer("a", &["10.244.0.0/23"], ip, mac), "overlaps 10.244.1.0/24; first"),
            (peer("a", &["10.244.2.0/24", "fd00:244::/96"], ip, mac), "overlaps fd00:244::/64"),
            (peer("a", net, "192.168.2.9", mac), "nodeIPs 192.168.2.9: own"),
        ];
        let stranger = peer("s", &["10.9.0.0/24"], "192.168.2.3", "02:00:00:00:00:03");
        let third = peer("third", &["10.244.3.0/24"], "192.168.2.3", "02:00:00:00:00:03");
        let before = peer("before", &["10.244.0.0/24"], ip, mac);
        let mut taken = Taken::new(&cluster, &local);
        assert_eq!(taken.take(&first), Ok(()));
        for (other, says) in &others {
            let why = taken.take(other).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        // What is of no node of the network takes nothing.
        assert_eq!((taken.take(&stranger), taken.take(&third)), (Ok(()), Ok(())));
        assert_eq!(taken.take(&before), Ok(()));
    }
}
