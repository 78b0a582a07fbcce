//! A pod of three networks of which one is a VF, as Multus has it.

use serde_json::json;
use testkit::{Netns, Node, Pf, need, ping};

use crate::multus::{Ground, definition};
use nad::Definition;
use nad::multus::Devices;

/// The bridges of the test, in the machine's own namespace.
const BRIDGES: [&str; 2] = ["multus0", "multus1"];

#[test]
fn a_vf_is_the_third_attachment_of_a_pod_in_every_version() {
    need!(Sriov);
    let pf = Pf::take(2);
    let own = Netns::own();
    for version in crate::multus::VERSIONS {
        let before = pf.state(1);
        let node = Node::machine();
        let mut ipam = node.host_local(&["10.1.0.0/24"]);
        ipam["routes"] = json!([{"dst": "0.0.0.0/0"}]);
        let cluster = json!({"cniVersion": version, "name": "pods", "plugins": [
            {"type": "bridge", "bridge": BRIDGES[0], "isGateway": true, "ipam": ipam},
        ]});
        let second = json!({"cniVersion": version, "type": "bridge", "bridge": BRIDGES[1],
            "isGateway": true, "ipam": node.host_local(&["10.2.0.0/24"])});
        let fast = json!({"cniVersion": version, "type": "sriov", "vlan": 100, "spoofchk": "on",
            "capabilities": {"mac": true, "ips": true, "deviceID": true},
            "stateDir": node.directory().join("devices"), "ipam": {"type": "static"}});
        let resource = Some("intel.com/sriov".to_owned());
        let definitions =
            [definition("second", &second), Definition { resource, ..definition("fast", &fast) }];
        let networks = json!([
            {"name": "second"},
            {"name": "fast", "mac": "02:00:00:00:03:01", "ips": ["10.3.0.7/24"]},
        ]);
        let mut devices = Devices::default();
        devices.add("intel.com/sriov", &pf.vf(1));
        let ground = Ground::of(node, &cluster, &definitions, &networks, &devices);
        let results = ground.add();
        assert_eq!(ground.pod.addresses("net2"), ["10.3.0.7/24"], "{version}");
        let vf = ground.pod.link("net2").expect("the VF");
        assert_eq!(vf["address"], "02:00:00:00:03:01", "{version}");
        assert_eq!(vf["parentdev"], pf.vf(1), "{version}");
        assert_eq!(pf.info(1)["vlan_list"][0]["vlan"], 100, "{version}");
        for gateway in ["10.1.0.1", "10.2.0.1"] {
            assert!(ping(&ground.pod, gateway), "{version}: no answer from {gateway}");
        }
        ground.check(&results);
        ground.del(&results);
        assert_eq!(pf.state(1), before, "{version}");
        assert_eq!(ground.pod.links(), ["lo"], "{version}");
        // Multus tries again what failed, and does not know what did not.
        ground.del(&results);
        assert_eq!(pf.state(1), before, "{version}");
        for bridge in BRIDGES {
            own.run(&["ip", "link", "del", bridge]);
        }
    }
}
