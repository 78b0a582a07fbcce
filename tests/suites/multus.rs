//! What Multus would do for a pod of three networks, done with our plugins: each is handed exactly what
//! Multus would hand it, ADD in order, CHECK, and DEL the other way round.

use cni::Json;
use nad::multus::{Delegate, Devices, Invocation, Multus, Sandbox, Verb};
use nad::status::Status;
use nad::{Definition, Network, Pod as Asked};
use serde_json::{Value, json};
use testkit::{Node, Output, Pod, ping};

/// The versions that Multus' users have.
pub const VERSIONS: &[&str] = &["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// A pod, its networks and how Multus is set up.
pub struct Ground {
    node: Node,
    pub pod: Pod,
    asked: Asked,
    multus: Multus,
    delegates: Vec<Delegate>,
}

/// A network of the namespace `default`.
pub fn definition(name: &str, config: &Value) -> Definition {
    Definition {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        resource: None,
        config: Some(config.to_string()),
    }
}

impl Ground {
    /// Two bridges and a device of the node: the cluster's network with host-local, a second bridge of
    /// which address and hardware address are asked for, and an end of a veth pair.
    fn new(version: &str, removes_capabilities: bool) -> Self {
        let node = Node::new();
        node.run(&["ip", "link", "add", "dev0", "type", "veth", "peer", "name", "far0"]);
        node.run(&["ip", "addr", "add", "10.9.0.1/24", "dev", "far0"]);
        node.run(&["ip", "link", "set", "far0", "up"]);
        let mut ipam = node.host_local(&["10.1.0.0/24"]);
        ipam["routes"] = json!([{"dst": "0.0.0.0/0"}]);
        let cluster = json!({
            "cniVersion": version, "name": "pods",
            "plugins": [
                {"type": "bridge", "bridge": "br0", "isGateway": true, "ipam": ipam},
            ],
        });
        let second = json!({
            "cniVersion": version, "type": "bridge", "bridge": "br1", "isGateway": true,
            "capabilities": {"mac": true, "ips": true}, "ipam": node.host_local(&["10.2.0.0/24"]),
        });
        let device = json!({
            "cniVersion": version, "type": "host-device", "device": "dev0",
            "stateDir": node.directory().join("devices"),
            "ipam": {"type": "static", "addresses": [{"address": "10.9.0.2/24"}]},
        });
        let definitions = [definition("second", &second), definition("device", &device)];
        let networks = json!([
            {"name": "second", "ips": ["10.2.0.77/24"], "mac": "02:00:00:00:02:77",
             "cni-args": {"purpose": {"of": ["anything"]}}},
            {"name": "device", "namespace": "default", "interface": "dp0"},
        ]);
        let devices = Devices::default();
        let ground = Self::of(node, &cluster, &definitions, &networks, &devices);
        Self { multus: Multus { removes_capabilities, ..ground.multus }, ..ground }
    }

    /// Any networks beside the cluster's, and the devices that the kubelet gave the pod.
    pub fn of(
        node: Node,
        cluster: &Value,
        definitions: &[Definition],
        networks: &Value,
        devices: &Devices,
    ) -> Self {
        let asked = Asked {
            name: "web-0".to_owned(),
            namespace: "default".to_owned(),
            uid: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
            networks: Some(networks.to_string()),
            ..Asked::default()
        };
        let cluster = Network::parse(cluster.to_string().as_bytes(), "").expect("a network");
        let multus = Multus {
            default_network: Some(cluster),
            // What containerd and CRI-O send, which the "thin" Multus repeats.
            args: "IgnoreUnknown=1;K8S_POD_NAME=web-0".to_owned(),
            ..Multus::default()
        };
        let delegates =
            multus.delegates(&asked, definitions, devices).unwrap_or_else(|e| panic!("{e}"));
        assert!(delegates.iter().all(|d| d.warnings.is_empty()), "{delegates:?}");
        Self { node, pod: Pod::new(), asked, multus, delegates }
    }

    fn invocation(
        &self,
        delegate: &Delegate,
        verb: Verb,
        place: usize,
        result: Option<&Json>,
    ) -> Invocation {
        let sandbox = Sandbox {
            container: self.pod.id.clone(),
            netns: self.pod.path().to_owned(),
            interface: "eth0".parse().expect("a name"),
            path: self.node.plugins().to_str().expect("UTF-8").to_owned(),
        };
        let call = delegate.invocation(&self.multus, &self.asked, &sandbox, (verb, place), result);
        call.unwrap_or_else(|e| panic!("{e}")).expect("a plugin at this place")
    }

    fn run(&self, invocation: &Invocation) -> Output {
        let call = self.node.call(&invocation.plugin);
        let call =
            invocation.environment.iter().fold(call, |call, (key, value)| call.env(key, value));
        call.stdin(invocation.bytes()).run()
    }

    /// Calls the plugins of an attachment; of ADD the result, which the next one is handed.
    #[track_caller]
    fn call(&self, delegate: &Delegate, verb: Verb, result: Option<&Json>) -> Option<Json> {
        let mut last = None;
        for place in delegate.order(verb) {
            let handed = if verb == Verb::Add { last.as_ref() } else { result };
            let output = self.run(&self.invocation(delegate, verb, place, handed));
            output.ok();
            assert_eq!(output.stderr, "", "{output}");
            if verb == Verb::Add {
                last = Some(Json::parse(output.stdout.as_bytes(), "a result").expect("JSON"));
            }
        }
        last
    }

    /// ADD of all, as Multus has it: none of the names is there before.
    #[track_caller]
    pub fn add(&self) -> Vec<Json> {
        let add = |delegate: &Delegate| {
            let interface = self.invocation(delegate, Verb::Add, 0, None);
            let interface = interface.variable("CNI_IFNAME").expect("a name").to_owned();
            assert!(self.pod.link(&interface).is_none(), "{interface}");
            let result = self.call(delegate, Verb::Add, None).expect("a result");
            assert!(self.pod.link(&interface).is_some(), "{interface}");
            result
        };
        self.delegates.iter().map(add).collect()
    }

    #[track_caller]
    pub fn check(&self, results: &[Json]) {
        for (delegate, result) in self.delegates.iter().zip(results) {
            if delegate.can_check() {
                self.call(delegate, Verb::Check, Some(result));
            }
        }
    }

    #[track_caller]
    pub fn del(&self, results: &[Json]) {
        for (delegate, result) in self.delegates.iter().zip(results).rev() {
            self.call(delegate, Verb::Del, Some(result));
        }
    }

    /// What Multus would tell the pod.
    fn status(&self, results: &[Json]) -> Vec<Status> {
        let entries = self.delegates.iter().zip(results).flat_map(|(delegate, result)| {
            let result = cni::AddResult::parse_any(result, cni::Version::V1_1_0).expect("a result");
            Status::of(&delegate.name, &result, delegate.is_default, None)
        });
        let entries: Vec<Status> = entries.collect();
        // What is written is read back by whoever wants to know.
        let read = Status::parse(&Status::print(&entries)).expect("a status");
        assert_eq!(read, entries);
        read
    }
}

/// The pod's interfaces that are told of: network, name, addresses.
fn told(status: &[Status]) -> Vec<(&str, &str, String)> {
    status.iter().map(|s| (s.name.as_str(), s.interface.as_str(), s.ips.join(" "))).collect()
}

#[test]
fn three_attachments_come_and_go_in_every_version() {
    for version in VERSIONS {
        for removes_capabilities in [false, true] {
            let ground = Ground::new(version, removes_capabilities);
            let before = ground.node.snapshot();
            let results = ground.add();
            assert_eq!(
                told(&ground.status(&results)),
                [
                    ("pods", "eth0", "10.1.0.2".to_owned()),
                    ("default/second", "net1", "10.2.0.77".to_owned()),
                    ("default/device", "dp0", "10.9.0.2".to_owned()),
                ],
                "{version}"
            );
            let net1 = ground.pod.link("net1").expect("net1");
            assert_eq!(net1["address"], "02:00:00:00:02:77", "{version}");
            assert_eq!(ground.pod.addresses("net1"), ["10.2.0.77/24"], "{version}");
            for gateway in ["10.1.0.1", "10.2.0.1", "10.9.0.1"] {
                assert!(ping(&ground.pod, gateway), "{version}: no answer from {gateway}");
            }
            ground.check(&results);
            ground.del(&results);
            assert!(ground.pod.link("dp0").is_none() && ground.pod.link("eth0").is_none());
            assert!(ground.node.link("dev0").is_some(), "{version}: the device is not back");
            assert!(
                ground.node.leased("pods").is_empty() && ground.node.leased("second").is_empty()
            );
            // Multus tries again what failed, and does not know what did not.
            ground.del(&results);
            let after = ground.node.snapshot();
            assert_eq!(before.section("nft"), after.section("nft"), "{version}");
        }
    }
}

#[test]
fn an_attachment_that_fails_is_taken_back_with_those_before_it() {
    for version in VERSIONS {
        let ground = Ground::new(version, false);
        // The third network's device is not there.
        ground.node.run(&["ip", "link", "set", "dev0", "name", "other0"]);
        let mut results = Vec::new();
        for delegate in &ground.delegates[..2] {
            results.push(ground.call(delegate, Verb::Add, None).expect("a result"));
        }
        let last = &ground.delegates[2];
        let refused = ground.run(&ground.invocation(last, Verb::Add, 0, None)).fails();
        assert!(refused.text().contains("dev0"), "{refused}");
        // DEL of all, the failed one first, of which there is no result.
        let del = ground.invocation(last, Verb::Del, 0, None);
        ground.run(&del).ok();
        for (delegate, result) in ground.delegates.iter().zip(&results).rev() {
            ground.call(delegate, Verb::Del, Some(result));
        }
        assert!(ground.pod.link("net1").is_none() && ground.pod.link("eth0").is_none());
        assert!(ground.node.leased("pods").is_empty() && ground.node.leased("second").is_empty());
    }
}

#[test]
fn a_network_can_be_asked_for_twice() {
    for version in VERSIONS {
        let node = Node::new();
        let cluster = json!({"cniVersion": version, "name": "pods", "type": "bridge",
            "bridge": "br0", "ipam": node.host_local(&["10.1.0.0/24"])});
        let second = json!({"cniVersion": version, "type": "bridge", "bridge": "br1",
            "ipam": node.host_local(&["10.2.0.0/24"])});
        let networks = json!([{"name": "second"}, {"name": "second"}]);
        let definitions = [definition("second", &second)];
        let ground = Ground::of(node, &cluster, &definitions, &networks, &Devices::default());
        let results = ground.add();
        assert_eq!(
            told(&ground.status(&results)),
            [
                ("pods", "eth0", "10.1.0.2".to_owned()),
                ("default/second", "net1", "10.2.0.2".to_owned()),
                ("default/second", "net2", "10.2.0.3".to_owned()),
            ]
        );
        ground.check(&results);
        // One of them goes, and the other stays what it was.
        ground.call(&ground.delegates[1], Verb::Del, Some(&results[1]));
        assert!(ground.pod.link("net1").is_none() && ground.pod.link("net2").is_some());
        if ground.delegates[2].can_check() {
            ground.call(&ground.delegates[2], Verb::Check, Some(&results[2]));
        }
        ground.del(&results);
        assert!(ground.node.leased("second").is_empty());
    }
}
