//! The agent takes the place of flannel's daemon, while pods talk. What flannel left is programmed here as
//! its daemon does it (`pkg/backend/vxlan`): the device with a random hardware address, the first address
//! of the subnet on it, and for each peer a neighbour, an FDB entry and a route, all unmarked.

use std::fs;

use serde_json::{Value, json};
use testkit::{Attachment, Pings, Pod, need, ping};

use super::ground::{Agent, Site, until};
use crate::nodes::ground::{Mode, listed};

const DEVICES: [&str; 2] = ["flannel.1", "flannel-v6.1"];

/// The hardware address that flannel gave node `n`, for IPv4 or IPv6.
pub fn mac(n: usize, ipv6: bool) -> String {
    format!("aa:bb:cc:{:02x}:00:0{n}", u8::from(ipv6))
}

impl Site {
    /// Nodes that flannel's daemons served, and a pod on each, attached by flannel's plugin.
    pub fn served_by_flannel() -> Self {
        let more = json!({"device": "flannel.1"});
        let mut site = Self::of(Mode::Vxlan, more);
        for n in 1..=3 {
            program(&site, n);
            let entry = site.entry(n);
            entry["vtepMAC"] = json!(mac(n, false));
            entry["vtepMACv6"] = json!(mac(n, true));
        }
        site.write();
        let pods = (1..=3).map(|n| site.cluster.fleet.attach(&flannel(&site, n), n)).collect();
        site.cluster.pods = pods;
        site.cluster.all_talk();
        site
    }

    /// From each pod to each other, in every family.
    pub fn pings(&self) -> Vec<Pings> {
        let mut all = Vec::new();
        for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 1)] {
            for ip in self.cluster.attachment(to).ips() {
                all.push(Pings::start(self.cluster.pod(from), &ip));
            }
        }
        all
    }

    /// What may not change: the devices, as the kernel numbers them, and what the others know of them.
    pub fn devices(&self, n: usize) -> Vec<Value> {
        let about = |link: Value| json!([link["ifindex"], link["address"], link["linkinfo"]]);
        let links = DEVICES.iter().filter_map(|name| self.node(n).link(name));
        links.map(about).collect()
    }

    /// Waits until all that leads from node `n` to the others is the agent's.
    #[track_caller]
    pub fn is_taken(&self, n: usize) {
        until(&format!("node {n} is taken over"), || {
            let mut left = Vec::new();
            for family in ["-4", "-6"] {
                for route in self.node(n).routes(family, "main") {
                    let dst = route["dst"].as_str().unwrap_or_default();
                    let pods = dst.starts_with("10.244.") || dst.starts_with("fd00:244:");
                    let tunnel = DEVICES.iter().any(|device| route["dev"] == *device);
                    // The kernel's own is that of the device's address.
                    let foreign = route["metric"] != 112 && route["protocol"] != "kernel";
                    if pods && tunnel && foreign {
                        left.push(route);
                    }
                }
            }
            let state = self.agent_state(n);
            let fine = state["rounds"].as_u64() > Some(0) && state["trouble"].is_null();
            if left.is_empty() && fine { Ok(()) } else { Err((left, state)) }
        });
    }

    /// A pod that our plugin attaches reaches those that flannel's attached, and they it.
    #[track_caller]
    pub fn next_pod(&self, n: usize) {
        let cluster = &self.cluster;
        let (pod, attached): (Pod, Attachment) = cluster.fleet.attach(&cluster.conf(n), n);
        for m in 1..=3 {
            for (ours, theirs) in attached.ips().iter().zip(&cluster.attachment(m).ips()) {
                assert_ne!(ours, theirs, "its lease is another one");
                assert!(ping(&pod, theirs), "{ours} does not reach {theirs} on node {m}");
                assert!(ping(cluster.pod(m), ours), "{theirs} on node {m} does not reach {ours}");
            }
        }
    }
}

/// As flannel's daemon leaves node `n`.
fn program(site: &Site, n: usize) {
    let node = site.node(n);
    let entries = &site.cluster.fleet.roster.entries;
    for (i, own) in listed(&entries[n - 1], "nodeIPs").iter().enumerate() {
        let (ipv6, device) = (own.contains(':'), DEVICES[usize::from(own.contains(':'))]);
        let (length, mtu) = if ipv6 { (128, 1430) } else { (32, 1450) };
        let first = |entry: &Value| {
            let cidr = listed(entry, "podCIDRs").swap_remove(i);
            (cidr.split('/').next().unwrap().to_owned(), cidr)
        };
        node.batch(&format!(
            "link add {device} address {} mtu {mtu} type vxlan id 1 dev eth0 local {own} dstport 8472 nolearning\n\
             link set {device} up\naddr add {}/{length} dev {device}\n",
            mac(n, ipv6),
            first(&entries[n - 1]).0,
        ));
        for (m, entry) in (1..).zip(entries).filter(|(m, _)| *m != n) {
            let ((gateway, cidr), mac) = (first(entry), mac(m, ipv6));
            let at = listed(entry, "nodeIPs").swap_remove(i);
            node.batch(&format!(
                "neigh replace {gateway} lladdr {mac} dev {device} nud permanent\n"
            ));
            node.run(&[
                "bridge",
                "fdb",
                "replace",
                &mac,
                "dev",
                device,
                "dst",
                &at,
                "self",
                "permanent",
            ]);
            node.batch(&format!("route replace {cidr} via {gateway} dev {device} onlink\n"));
        }
    }
}

/// The configuration of flannel's manifest on node `n`, and the file that the daemon writes for it. The network
/// has the name that the next one has, so that leases of addresses hold.
fn flannel(site: &Site, n: usize) -> Value {
    let node = site.node(n);
    let file = node.directory().join("subnet.env");
    let entry = &site.cluster.fleet.roster.entries[n - 1];
    let (v6, mtu) = if listed(entry, "podCIDRs").len() == 2 {
        let lines =
            format!("FLANNEL_IPV6_NETWORK=fd00:244::/32\nFLANNEL_IPV6_SUBNET=fd00:244:{n}::1/64\n");
        (lines, 1430)
    } else {
        (String::new(), 1450)
    };
    let text = format!(
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.{n}.1/24\n{v6}FLANNEL_MTU={mtu}\nFLANNEL_IPMASQ=true\n"
    );
    fs::write(&file, text).unwrap();
    json!({
        "cniVersion": "1.0.0", "name": site.cluster.fleet.roster.network, "type": "flannel",
        "subnetFile": file, "dataDir": node.directory().join("flannel"),
        "ipam": {"dataDir": node.leases()},
        "delegate": {"hairpinMode": true, "isDefaultGateway": true, "bridge": "cni0"},
    })
}

/// Agents take over one node after the other; `start` starts one.
pub fn take_over(site: &Site, start: impl Fn(usize) -> Agent) {
    let devices: Vec<_> = (1..=3).map(|n| site.devices(n)).collect();
    assert_eq!(devices[0].len(), 2);
    let pings = site.pings();
    let start = |n: usize| {
        let _ = fs::remove_file(site.state(n).join("agent.json"));
        let agent = start(n);
        site.is_taken(n);
        agent
    };
    // On one node of three; the others are still as flannel made them.
    start(1).stop();
    start(1).kill();
    let first = start(1);
    site.next_pod(1);
    // Then on the others, too.
    let _others = [start(2), start(3)];
    for n in 1..=3 {
        assert_eq!(site.devices(n), devices[n - 1]);
        site.next_pod(n);
    }
    first.kill();
    site.cluster.all_talk();
    pings.into_iter().for_each(Pings::lost_none);
}

#[test]
fn no_packet_is_lost_while_agents_take_the_place_of_flannel_s_daemons() {
    need!(Vxlan);
    let site = Site::served_by_flannel();
    take_over(&site, |n| site.start(n));
    for n in 1..=3 {
        let plan = site.command(n, "plan", &[]);
        assert_eq!((plan.code, plan.out.as_str()), (Some(0), ""), "{plan:?}");
    }
}
