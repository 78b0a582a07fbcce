//! A VF that sriov-cni has given away before ours took its place.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::{Pod, need};

use super::Ground;

const DIRECTORY: &str = "/var/lib/cni/sriov";

/// What sriov-cni does at ADD, and the files that it keeps.
fn hand_over(ground: &Ground, pod: &Pod) -> (Value, std::path::PathBuf) {
    let (name, state) = (ground.pf.link(0), ground.pf.state(0));
    let cache = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "sriov", "deviceID": ground.pf.vf(0),
        "OrigVfState": {
            "HostIFName": name, "SpoofChk": true, "Trust": false,
            "AdminMAC": "00:00:00:00:00:00", "EffectiveMAC": state["link"]["address"],
            "Vlan": 0, "VlanQoS": 0, "VlanProto": 33024, "MinTxRate": 0, "MaxTxRate": 0,
            "LinkState": 0, "MTU": state["link"]["mtu"],
        },
        "Master": ground.pf.name, "MAC": "02:00:00:00:00:21", "vlan": 100, "vlanQoS": 0,
        "VFID": 0, "max_tx_rate": 50, "spoofchk": "off",
    });
    // The VF's own address first: igb takes no other one afterwards.
    ground.node.run(&["ip", "link", "set", &name, "address", "02:00:00:00:00:21"]);
    for what in ["vlan 100", "mac 02:00:00:00:00:21", "max_tx_rate 50", "spoofchk off"] {
        ground.set(0, what);
    }
    ground.node.run(&["ip", "link", "set", &name, "netns", pod.path(), "name", "net1"]);
    pod.run(&["ip", "link", "set", "net1", "up"]);
    fs::create_dir_all(Path::new(DIRECTORY).join("pci")).unwrap();
    let file = Path::new(DIRECTORY).join(format!("{}-net1", pod.id));
    fs::write(&file, cache.to_string()).unwrap();
    fs::write(Path::new(DIRECTORY).join("pci").join(ground.pf.vf(0)), pod.path()).unwrap();
    let conf = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "sriov", "deviceID": ground.pf.vf(0),
        "vlan": 100, "max_tx_rate": 50, "spoofchk": "off", "stateDir": ground.state_dir(),
    });
    (conf, file)
}

#[test]
fn a_vf_that_sriov_cni_gave_away_comes_home() {
    need!(Sriov);
    let ground = Ground::new(1);
    let mut pod = Pod::new();
    for dies in [false, true] {
        let (conf, file) = hand_over(&ground, &pod);
        if dies {
            pod.remove();
        }
        ground.call("DEL", &conf, &pod).run().ok();
        ground.is_as_before(&pod);
        assert!(!file.exists());
        assert!(!Path::new(DIRECTORY).join("pci").join(ground.pf.vf(0)).exists());
        ground.call("DEL", &conf, &pod).run().ok();
        ground.is_as_before(&pod);
    }
}
