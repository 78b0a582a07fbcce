//! What is asked for is what the VF gets, and what it had before comes back.

use serde_json::json;
use testkit::{Pod, need};

use super::{Ground, has_flag};

const MAC: &str = "02:11:22:33:44:55";

#[test]
fn a_pod_gets_a_vf_with_all_that_was_asked_for() {
    need!(Sriov);
    let ground = Ground::new(2);
    let (pod, name) = (Pod::new(), ground.pf.link(0));
    let conf = ground.conf(
        0,
        json!({
            "mac": MAC, "vlan": 100, "vlanQoS": 3, "max_tx_rate": 100, "spoofchk": "off", "trust": "on",
            "link_state": "auto", "mtu": 1400, "allmulti": true, "promisc": true,
        }),
    );
    let attached = ground.attach(&conf, &pod);

    let own = &attached.result["interfaces"][0];
    assert_eq!(own["name"], "net1");
    assert_eq!(own["mac"], MAC);
    assert_eq!(own["mtu"], 1400);
    assert_eq!(own["sandbox"], pod.path());
    assert_eq!(own["pciID"], ground.pf.vf(0));
    assert_eq!(attached.addresses(), ["10.9.0.1/24"]);

    let info = ground.pf.info(0);
    assert_eq!(info["address"], MAC);
    assert_eq!(info["vlan_list"], json!([{"vlan": 100, "qos": 3}]));
    assert_eq!(info["rate"]["max_tx"], 100);
    assert_eq!((&info["spoofchk"], &info["trust"]), (&json!(false), &json!(true)));
    assert_eq!(ground.pf.state(1), ground.before[1], "the other VF");

    let link = pod.link("net1").expect("the VF");
    assert_eq!((&link["address"], &link["mtu"]), (&json!(MAC), &json!(1400)));
    assert_eq!(link["parentdev"], ground.pf.vf(0));
    for flag in ["UP", "ALLMULTI", "PROMISC"] {
        assert!(has_flag(&pod, "net1", flag), "{flag}: {link}");
    }
    assert_eq!(pod.addresses("net1"), ["10.9.0.1/24"]);
    assert!(ground.node.link(&name).is_none());
    ground.node.check(&attached).ok();

    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn what_was_not_asked_for_stays_as_the_administrator_set_it() {
    need!(Sriov);
    let mut ground = Ground::new(1);
    for what in ["vlan 7 qos 2", "max_tx_rate 50", "spoofchk off", "trust on"] {
        ground.set(0, what);
    }
    ground.node.run(&[
        "ip",
        "link",
        "set",
        &ground.pf.link(0),
        "mtu",
        "1300",
        "alias",
        "spare",
        "up",
    ]);
    ground.node.run(&[
        "ip",
        "link",
        "property",
        "add",
        "dev",
        &ground.pf.link(0),
        "altname",
        "enp1s0f0v0",
    ]);
    ground.settle();
    let pod = Pod::new();
    let before = ground.pf.info(0);
    let attached = ground.attach(&ground.conf(0, json!({})), &pod);
    assert_eq!(ground.pf.info(0), before);
    assert_eq!(pod.link("net1").expect("the VF")["mtu"], 1300);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn an_administrators_address_is_given_back_as_such() {
    need!(Sriov);
    let mut ground = Ground::new(1);
    let (pod, name) = (Pod::new(), ground.pf.link(0));
    let set = |mac: &str| ground.node.try_run(&["ip", "link", "set", &name, "address", mac]);
    // An address that the VF chose itself was none: afterwards it may choose again.
    let attached = ground.attach(&ground.conf(0, json!({"mac": MAC})), &pod);
    let locked = pod.try_run(&["ip", "link", "set", "net1", "address", "02:00:00:00:00:01"]);
    assert!(locked.is_err(), "the pod took another address");
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    set("02:00:00:00:00:01").expect("the VF may choose its address");
    // One that the administrator set stays the only one.
    ground.set(0, "mac 02:00:00:00:00:01");
    ground.settle();
    let attached = ground.attach(&ground.conf(0, json!({"mac": MAC})), &pod);
    assert_eq!(ground.pf.info(0)["address"], MAC);
    assert_eq!(pod.link("net1").expect("the VF")["address"], MAC);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    let set = ground.node.try_run(&["ip", "link", "set", &name, "address", "02:00:00:00:00:02"]);
    assert!(set.is_err(), "the VF took another address than the administrator's");
}

#[test]
fn vlan_0_takes_the_vlan_away_and_no_vlan_leaves_it() {
    need!(Sriov);
    let mut ground = Ground::new(1);
    ground.set(0, "vlan 7 qos 1");
    ground.settle();
    let pod = Pod::new();
    let attached = ground.attach(&ground.conf(0, json!({"vlan": 0})), &pod);
    assert_eq!(ground.pf.info(0)["vlan_list"], json!([{}]));
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
    let attached = ground.attach(&ground.conf(0, json!({"vlan": null})), &pod);
    assert_eq!(ground.pf.info(0)["vlan_list"], json!([{"vlan": 7, "qos": 1}]));
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn what_is_asked_for_and_is_so_already_needs_no_request() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    // igb would refuse each of these, were it asked.
    let conf = ground.conf(0, json!({"min_tx_rate": 0, "link_state": "auto"}));
    let attached = ground.attach(&conf, &pod);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn a_check_names_every_setting_that_was_changed() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let conf = ground.conf(
        0,
        json!({"mac": MAC, "vlan": 100, "max_tx_rate": 10, "spoofchk": "on", "trust": "off"}),
    );
    let attached = ground.attach(&conf, &pod);
    for (what, words) in [
        ("vlan 101", ["vlan 101", "vlan 100"]),
        ("max_tx_rate 20", ["max_tx_rate 20", "max_tx_rate 10"]),
        ("spoofchk off", ["spoofchk off", "spoofchk on"]),
        ("trust on", ["trust on", "trust off"]),
    ] {
        ground.set(0, what);
        ground.node.check(&attached).fails().is(103, &words);
        ground.set(0, words[1]);
        ground.node.check(&attached).ok();
    }
    pod.run(&["ip", "link", "set", "net1", "mtu", "1400"]);
    ground.set(0, "spoofchk off");
    ground.node.check(&attached).fails().is(103, &["MTU", "spoofchk off"]);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn every_version_of_the_protocol_is_answered_in_its_own_form() {
    need!(Sriov);
    let ground = Ground::new(1);
    for version in ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let pod = Pod::new();
        let conf = ground.conf(0, json!({"cniVersion": version, "mac": MAC}));
        let attached = ground.attach(&conf, &pod);
        let own = &attached.result["interfaces"][0];
        assert_eq!((&own["name"], &own["mac"]), (&json!("net1"), &json!(MAC)), "{version}");
        assert_eq!(own.get("pciID").is_some(), version >= "1.0.0", "{version}");
        assert_eq!(own.get("mtu").is_some(), version >= "1.0.0", "{version}");
        if version != "0.3.1" {
            ground.node.check(&attached).ok();
        }
        ground.node.del(&attached).ok();
        ground.is_as_before(&pod);
    }
}
