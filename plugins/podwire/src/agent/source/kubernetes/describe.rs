//! What the nodes make together: the fleet as this node sees it, and what it has to tell the others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni::{Cidr, Code, Error, Json};
use flannel::{Annotations, Attributes, Backend, End, Keys, Peer};
use peers::{Fault, Fleet};
use serde_json::{Map, Value, json};

use super::super::Snapshot;
use super::store::Known;

/// What a fleet is made of beside the nodes.
#[derive(Clone, Debug)]
pub struct Description {
    /// This node's name.
    pub node: String,
    /// All pods' networks.
    pub cluster: Vec<Cidr>,
    /// The way to the other nodes.
    pub backend: Backend,
    /// The annotations' keys.
    pub keys: Keys,
}

/// What was made of them.
#[derive(Clone, Debug)]
pub struct Described {
    /// The fleet.
    pub snapshot: Snapshot,
    /// What is missing from this node's object.
    pub patch: Option<Value>,
}

impl Description {
    /// Describes the fleet. Fails when this node's own entry cannot be served.
    pub fn of(&self, nodes: &BTreeMap<String, Known>) -> Result<Described, Error> {
        let Some(own) = nodes.get(&self.node) else {
            let why =
                format!("node {}: is not among the {} of the cluster", self.node, nodes.len());
            return Err(Error::new(Code::TRY_AGAIN, why)
                .details("give this node's name as Kubernetes has it with --node"));
        };
        let mut faults = Vec::new();
        let local = self.local(own, &mut faults);
        let head = format!(
            r#"{{"version":1,"clusterCIDRs":{},"local":{},"peers":["#,
            self.cluster.iter().map(ToString::to_string).collect::<Json>(),
            local.json()
        );
        // The same without the peers, of which each is read for itself.
        Fleet::parse(format!("{head}]}}").as_bytes(), &format!("node {}", self.node))
            .map_err(|e| if own.pod_cidrs.is_empty() { unallocated(&e) } else { e })?;
        let mut text = head;
        let mut first = true;
        for (name, known) in nodes {
            if *name == self.node {
                continue;
            }
            if let Some(peer) = self.peer(name, known, &mut faults) {
                if !first {
                    text.push(',');
                }
                first = false;
                text.push_str(&peer.json().to_string());
            }
        }
        text.push_str("]}");
        let patch = self.patch(own, &local);
        let snapshot = Snapshot::of(text.into_bytes(), faults, "the nodes")?;
        Ok(Described { snapshot, patch })
    }

    fn peer(&self, name: &str, known: &Known, faults: &mut Vec<Fault>) -> Option<Peer> {
        let mut peer = self.plain(name, known);
        let (served, wrong) = self.keys.complete(self.backend, &known.annotations, &mut peer);
        faults.extend(wrong.into_iter().map(|e| Fault { peer: name.to_owned(), reason: e.msg }));
        served.then_some(peer)
    }

    /// The node as its object alone describes it: the first address of each family.
    fn plain(&self, name: &str, known: &Known) -> Peer {
        let mut peer =
            Peer { name: name.to_owned(), pod_cidrs: known.pod_cidrs.clone(), ..Peer::default() };
        for ipv6 in [false, true] {
            let mut ips = known.internal_ips.iter().filter(|ip| ip.contains(':') == ipv6);
            peer.node_ips.extend(ips.next().cloned());
            if !self.backend.serves(ipv6) {
                peer.without(ipv6);
            }
        }
        peer
    }

    /// This node: the address that an administrator chose, and the hardware address that the others
    /// know already.
    fn local(&self, own: &Known, faults: &mut Vec<Fault>) -> Peer {
        let mut local = self.plain(&self.node, own);
        let told = self.keys.told(self.backend, &own.annotations).unwrap_or_default();
        for ipv6 in [false, true] {
            if !local.has_pods(ipv6) {
                continue;
            }
            let chosen = self.keys.chosen(&own.annotations, ipv6).unwrap_or_else(|e| {
                faults.push(Fault { peer: self.node.clone(), reason: e.msg });
                None
            });
            let ip = chosen.or_else(|| address(&local, ipv6));
            let known = told
                .then(|| self.keys.end(self.backend, &own.annotations, ipv6).ok())
                .flatten()
                .and_then(|end| end.vtep);
            if let Some(ip) = ip {
                local.reached_at(End { ip, vtep: self.vtep(known, ipv6) });
            }
        }
        local
    }

    fn vtep(&self, known: Option<kernel::MacAddr>, ipv6: bool) -> Option<kernel::MacAddr> {
        let vxlan = matches!(self.backend, Backend::Vxlan { .. });
        vxlan.then(|| known.unwrap_or_else(|| peers::vtep_mac(&self.node, ipv6)))
    }

    /// What this node's object lacks, as a strategic merge patch of its status. What
    /// an administrator wrote into `public-ip-overwrite` and cannot be read has been named with the rest.
    fn patch(&self, own: &Known, local: &Peer) -> Option<Value> {
        let end = |ipv6: bool| {
            let ip = address(local, ipv6).filter(|_| local.has_pods(ipv6))?;
            let overwrite = self.keys.overwrite(&own.annotations, ipv6).unwrap_or_default();
            let vtep = if ipv6 { local.vtep_mac_v6 } else { local.vtep_mac };
            Some(End { ip: overwrite.unwrap_or(ip), vtep })
        };
        let attributes = Attributes { v4: end(false), v6: end(true) };
        let lacking = |annotations: &Annotations| -> Map<String, Value> {
            self.keys
                .publication(self.backend, &attributes)
                .into_iter()
                .filter(|(key, value)| annotations.get(key) != value.as_ref())
                .map(|(key, value)| (key, value.into()))
                .collect()
        };
        let mut patch = Map::new();
        let annotations = lacking(&own.annotations);
        if !annotations.is_empty() {
            patch.insert("metadata".to_owned(), json!({"annotations": annotations}));
        }
        if own.network_unavailable.as_deref() != Some("False") {
            let condition = json!({
                "type": "NetworkUnavailable",
                "status": "False",
                "reason": "PodwireIsUp",
                "message": "the node agent leads to the other nodes' pods",
            });
            patch.insert("status".to_owned(), json!({"conditions": [condition]}));
        }
        (!patch.is_empty()).then_some(Value::Object(patch))
    }
}

fn address(peer: &Peer, ipv6: bool) -> Option<IpAddr> {
    let mut ips = peer.node_ips.iter().filter_map(|ip| ip.parse().ok());
    ips.find(|ip: &IpAddr| ip.is_ipv6() == ipv6)
}

fn unallocated(error: &Error) -> Error {
    error.clone().details(
        "the controller manager gives each node its podCIDRs when it is called with --allocate-node-cidrs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const VXLAN: Backend = Backend::Vxlan { vni: 1 };
    const PREFIX: &str = flannel::PREFIX;

    fn description(backend: Backend) -> Description {
        Description {
            node: "n1".to_owned(),
            cluster: vec!["10.244.0.0/16".parse().unwrap(), "fd00:244::/48".parse().unwrap()],
            backend,
            keys: Keys::new(PREFIX).unwrap(),
        }
    }

    fn node(n: u8, annotations: &[(&str, &str)]) -> (String, Known) {
        let known = Known {
            pod_cidrs: vec![format!("10.244.{n}.0/24"), format!("fd00:244:0:{n}::/64")],
            internal_ips: vec![
                format!("192.168.2.{n}"),
                format!("192.168.3.{n}"),
                format!("fd99::{n}"),
            ],
            annotations: annotations
                .iter()
                .map(|(key, value)| (format!("{PREFIX}/{key}"), (*value).to_owned()))
                .collect(),
            network_unavailable: None,
        };
        (format!("n{n}"), known)
    }

    fn fleet(described: &Described) -> Fleet {
        Fleet::parse(&described.snapshot.text, "it").unwrap()
    }

    /// The node's object after the patch, as the API server merges it.
    fn merge(known: &mut Known, patch: &Value) {
        for (key, value) in patch["metadata"]["annotations"].as_object().into_iter().flatten() {
            match value.as_str() {
                Some(text) => known.annotations.insert(key.clone(), text.to_owned()),
                None => known.annotations.remove(key),
            };
        }
        if let Some(status) = patch["status"]["conditions"][0]["status"].as_str() {
            known.network_unavailable = Some(status.to_owned());
        }
    }

    #[test]
    fn flannel_s_nodes_and_ours_form_one_network() {
        let flannel = node(
            2,
            &[
                ("kube-subnet-manager", "true"),
                ("backend-type", "vxlan"),
                ("backend-data", r#"{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}"#),
                ("backend-v6-data", r#"{"VNI":1,"VtepMAC":"22:3b:5d:11:80:da"}"#),
                ("public-ip", "172.16.0.2"),
                ("public-ipv6", "fd98::2"),
            ],
        );
        let nodes: BTreeMap<_, _> = [node(1, &[]), flannel, node(3, &[])].into();
        let described = description(VXLAN).of(&nodes).unwrap();
        let fleet = fleet(&described);
        assert_eq!(fleet.faults, []);
        assert_eq!(fleet.local.node_ips.len(), 2);
        let ips =
            |n: usize| fleet.peers[n].node_ips.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ips(0), ["172.16.0.2", "fd98::2"]);
        assert_eq!(fleet.peers[0].vtep_mac.to_string(), "aa:bb:cc:dd:ee:fe");
        assert_eq!(ips(1), ["192.168.2.3", "fd99::3"]);
        assert_eq!(fleet.peers[1].vtep_mac, peers::vtep_mac("n3", false));
    }

    #[test]
    fn a_node_tells_what_flannel_would_and_then_nothing_more() {
        for backend in [VXLAN, Backend::HostGw, Backend::Ipip] {
            let mut nodes: BTreeMap<_, _> = [node(1, &[("backend-v6-data", "old")])].into();
            let patch = description(backend).of(&nodes).unwrap().patch.unwrap();
            assert_eq!(patch["status"]["conditions"][0]["status"], "False");
            let own = nodes.get_mut("n1").unwrap();
            merge(own, &patch);
            let get =
                |key: &str| own.annotations.get(&format!("{PREFIX}/{key}")).map(String::as_str);
            assert_eq!(get("public-ip"), Some("192.168.2.1"));
            assert_eq!(get("backend-type"), Some(backend.name()));
            let dual = backend != Backend::Ipip;
            assert_eq!(get("public-ipv6"), dual.then_some("fd99::1"));
            assert_eq!(get("backend-v6-data").is_some(), dual);
            let mac = peers::vtep_mac("n1", false);
            let data = backend.data(Some(mac));
            assert_eq!(get("backend-data"), Some(data.as_str()));
            // What was told is what a peer reads.
            let keys = Keys::new(PREFIX).unwrap();
            assert_eq!(keys.told(backend, &own.annotations), Ok(true));
            assert!(keys.end(backend, &own.annotations, false).is_ok());
            assert_eq!(description(backend).of(&nodes).unwrap().patch, None);
        }
    }

    #[test]
    fn a_node_keeps_the_hardware_address_that_the_others_know() {
        let own = node(
            1,
            &[
                ("kube-subnet-manager", "true"),
                ("backend-type", "vxlan"),
                ("backend-data", r#"{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}"#),
                ("public-ip", "172.16.0.1"),
            ],
        );
        let described = description(VXLAN).of(&[own].into()).unwrap();
        let local = fleet(&described).local;
        assert_eq!(local.vtep_mac.to_string(), "aa:bb:cc:dd:ee:fe");
        assert_eq!(local.ip(false).unwrap().to_string(), "192.168.2.1", "its own, not an old one");
        let annotations = &described.patch.unwrap()["metadata"]["annotations"];
        assert!(annotations.get(format!("{PREFIX}/backend-data")).is_none(), "{annotations}");
        assert_eq!(annotations[format!("{PREFIX}/public-ip")], "192.168.2.1");
    }

    #[test]
    fn an_administrator_chooses_the_address_and_what_is_told() {
        let own =
            node(1, &[("node-public-ip", "192.168.3.1"), ("public-ip-overwrite", "203.0.113.1")]);
        let described = description(Backend::HostGw).of(&[own].into()).unwrap();
        assert_eq!(fleet(&described).local.ip(false).unwrap().to_string(), "192.168.3.1");
        let annotations = &described.patch.unwrap()["metadata"]["annotations"];
        assert_eq!(annotations[format!("{PREFIX}/public-ip")], "203.0.113.1");
    }

    #[test]
    fn what_is_wrong_with_one_node_is_named_and_the_others_are_served() {
        let mut bare = node(4, &[]);
        bare.1.pod_cidrs.clear();
        let mut twin = node(5, &[]);
        twin.1.pod_cidrs = vec!["10.244.2.0/24".to_owned()];
        let other = node(6, &[("kube-subnet-manager", "true"), ("backend-type", "wireguard")]);
        let nodes: BTreeMap<_, _> = [node(1, &[]), node(2, &[]), bare, twin, other].into();
        let described = description(VXLAN).of(&nodes).unwrap();
        assert_eq!(described.snapshot.faults.len(), 1);
        assert_eq!(described.snapshot.faults[0].peer, "n6");
        assert!(described.snapshot.faults[0].reason.contains("backend-type \"wireguard\""));
        let fleet = fleet(&described);
        assert_eq!(fleet.peers.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["n2"]);
        let faulty: Vec<_> = fleet.faults.iter().map(|f| f.peer.as_str()).collect();
        assert_eq!(faulty, ["n4", "n5"]);
    }

    #[test]
    fn without_an_entry_of_its_own_nothing_is_told() {
        let error = description(VXLAN).of(&[node(2, &[])].into()).unwrap_err();
        assert!(
            error.to_string().contains("node n1") && error.to_string().contains("--node"),
            "{error}"
        );
        let mut own = node(1, &[]);
        own.1.pod_cidrs.clear();
        let error = description(VXLAN).of(&[own].into()).unwrap_err();
        assert!(error.details.contains("--allocate-node-cidrs"), "{error}");
        let mut own = node(1, &[]);
        own.1.internal_ips = vec!["192.168.2".to_owned()];
        let error = description(VXLAN).of(&[own].into()).unwrap_err();
        assert!(error.msg.contains("192.168.2"), "{error}");
    }
}
