//! VFs that a program drives.

use serde_json::{Value, json};
use testkit::{Pod, need};

use super::Ground;
use crate::conf::with;

const MAC: &str = "02:11:22:33:44:77";

fn settings() -> Value {
    json!({"mac": MAC, "vlan": 100, "spoofchk": "off", "trust": "on", "max_tx_rate": 10})
}

#[test]
fn a_vf_under_vfio_is_set_up_and_reported_and_nothing_moves() {
    need!(Sriov);
    round_trip("vfio-pci");
}

#[test]
fn a_vf_under_uio_is_set_up_and_reported_and_nothing_moves() {
    need!(Sriov);
    round_trip("uio_pci_generic");
}

fn round_trip(driver: &str) {
    let mut ground = Ground::new(2);
    let pod = Pod::new();
    ground.pf.bind(0, Some(driver));
    ground.settle();
    let ipam = ground.node.host_local(&["10.9.2.0/24"]);
    let info = ground.node.directory().join("devinfo/cni/net1-device.json");
    let conf = ground.conf(
        0,
        with(
            settings(),
            json!({"ipam": ipam, "runtimeConfig": {"CNIDeviceInfoFile": info.to_str()}}),
        ),
    );
    let attached = ground.attach(&conf, &pod);
    assert_eq!(pod.links(), ["lo"]);
    assert!(ground.pf.try_link(0).is_none());
    let own = &attached.result["interfaces"][0];
    assert_eq!((&own["name"], &own["mac"]), (&json!("net1"), &json!(MAC)));
    assert_eq!((&own["sandbox"], &own["pciID"]), (&json!(pod.path()), &json!(ground.pf.vf(0))));
    assert_eq!(attached.addresses(), ["10.9.2.2/24"]);
    let state = ground.pf.info(0);
    assert_eq!((&state["address"], &state["vlan_list"]), (&json!(MAC), &json!([{"vlan": 100}])));
    ground.node.check(&attached).ok();
    if info.exists() {
        let text = std::fs::read_to_string(&info).expect("device-info");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&told["type"], &told["pci"]["pci-address"]),
            (&json!("pci"), &json!(ground.pf.vf(0)))
        );
    }
    // Another pod cannot have it meanwhile.
    ground.call("ADD", &conf, &Pod::new()).run().fails().is(11, &[&pod.id]);
    ground.node.del(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    assert_eq!(ground.node.leased("net"), [""; 0]);
    ground.pf.bind(0, None);
    assert!(ground.pf.try_link(0).is_some());
}

#[test]
fn a_policy_refuses_the_other_kind_of_driver() {
    need!(Sriov);
    let mut ground = Ground::new(1);
    let pod = Pod::new();
    let userspace = ground.conf(0, json!({"driverPolicy": "require-userspace"}));
    let words = ["driverPolicy", "require-userspace", "igbvf"];
    ground.call("ADD", &userspace, &pod).run().fails().is(7, &words);
    ground.is_as_before(&pod);
    ground.pf.bind(0, Some("vfio-pci"));
    ground.settle();
    let kernel = ground.conf(0, json!({"driverPolicy": "require-kernel"}));
    let words = ["driverPolicy", "require-kernel", "vfio-pci"];
    ground.call("ADD", &kernel, &pod).run().fails().is(7, &words);
    for (key, value) in [("mtu", json!(1400)), ("allmulti", json!(true)), ("promisc", json!(false))]
    {
        let conf = ground.conf(0, json!({(key): value}));
        ground.call("ADD", &conf, &pod).run().fails().is(7, &[key, "vfio-pci"]);
    }
    ground.is_as_before(&pod);
    let attached = ground.attach(&userspace, &pod);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn a_vf_without_a_driver_is_refused() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let conf = ground.conf(0, json!({}));
    std::fs::write(
        format!("/sys/bus/pci/devices/{}/driver/unbind", ground.pf.vf(0)),
        ground.pf.vf(0),
    )
    .expect("unbinding");
    let error = ground.call("ADD", &conf, &pod).run().fails();
    error.is(7, &[&ground.pf.vf(0), "no driver"]);
    assert_eq!(ground.records(), [""; 0]);
    ground.pf.bind(0, None);
}

#[test]
fn a_vf_that_a_program_drives_since_is_set_back_at_its_adapter() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let attached = ground.attach(&ground.conf(0, settings()), &pod);
    ground.pf.bind(0, Some("vfio-pci"));
    assert_eq!(pod.links(), ["lo"]);
    ground.node.del(&attached).ok();
    let info = ground.pf.info(0);
    assert_eq!((&info["vlan_list"], &info["trust"]), (&json!([{}]), &json!(false)));
    assert_ne!(info["address"], MAC);
    assert_eq!(ground.records(), [""; 0]);
    ground.pf.bind(0, None);
    let again = Pod::new();
    let attached = ground.attach(&ground.conf(0, settings()), &again);
    ground.node.del(&attached).ok();
}
