//! What the hardware does not know takes back what was done before it, or is left out where that is
//! wanted.

use serde_json::{Value, json};
use testkit::{Pod, need};

use super::Ground;
use crate::conf::with;

/// All that igb can.
fn possible() -> Value {
    json!({
        "mac": "02:11:22:33:44:66", "vlan": 100, "max_tx_rate": 10, "spoofchk": "off", "trust": "on",
        "mtu": 1400,
    })
}

/// What igb does not know, in the order in which settings are made, and what names it.
fn impossible() -> [(Value, &'static [&'static str]); 4] {
    [
        (
            json!({"vlanProto": "802.1ad"}),
            &["vlan 100", "802.1ad", "Protocol not supported", "vlanProto"],
        ),
        (
            json!({"min_tx_rate": 5}),
            &["min_tx_rate 5", "Invalid argument", "leave min_tx_rate out"],
        ),
        (
            json!({"link_state": "disable"}),
            &["state disable", "Operation not supported", "link_state"],
        ),
        (json!({"queryRss": true}), &["query_rss on", "Operation not supported", "queryRss"]),
    ]
}

#[test]
fn a_setting_that_the_hardware_does_not_know_takes_all_back() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    for (setting, words) in impossible() {
        let conf = ground.conf(0, with(possible(), setting.clone()));
        let error = ground.call("ADD", &conf, &pod).run().fails();
        error.is(100, words);
        error.is(100, &["VF 0", &ground.pf.name, "onUnsupported"]);
        ground.is_as_before(&pod);
        // Alone, with nothing before it.
        let alone = with(json!({"vlan": 100}), setting);
        ground.call("ADD", &ground.conf(0, alone), &pod).run().fails().is(100, words);
        ground.is_as_before(&pod);
    }
}

#[test]
fn it_is_left_out_with_a_warning_where_that_is_wanted() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    for (setting, words) in impossible() {
        let warn = with(setting.clone(), json!({"onUnsupported": "warn"}));
        let conf = ground.conf(0, with(possible(), warn));
        let output = ground.call("ADD", &conf, &pod).run();
        let attached = ground.node.attached(&conf, &pod, "net1", &output);
        for word in words {
            assert!(output.stderr.contains(word), "{word:?} is not warned of: {output}");
        }
        let info = ground.pf.info(0);
        let vlan =
            if setting.get("vlanProto").is_some() { json!([{}]) } else { json!([{"vlan": 100}]) };
        assert_eq!(info["vlan_list"], vlan, "{setting}");
        assert_eq!(
            (&info["rate"]["max_tx"], &info["trust"]),
            (&json!(10), &json!(true)),
            "{setting}"
        );
        assert_eq!(info["address"], "02:11:22:33:44:66", "{setting}");
        ground.node.check(&attached).ok();
        ground.node.del(&attached).ok();
        ground.is_as_before(&pod);
    }
}

#[test]
fn values_that_the_driver_refuses_are_refused_whatever_is_wanted_of_unsupported_ones() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let conf = ground.conf(0, json!({"vlan": 5, "max_tx_rate": 100_000, "onUnsupported": "warn"}));
    let error = ground.call("ADD", &conf, &pod).run().fails();
    error.is(100, &["max_tx_rate 100000", "Invalid argument", "Mbit/s", &ground.pf.name]);
    ground.is_as_before(&pod);
    let conf = ground.conf(0, json!({"vlan": 5, "mac": "02:11:22:33:44:67", "mtu": 20_000}));
    ground.call("ADD", &conf, &pod).run().fails().is(100, &["MTU"]);
    ground.is_as_before(&pod);
}

#[test]
fn an_adapter_that_is_down_is_named_as_the_reason() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    ground.node.run(&["ip", "link", "set", &ground.pf.name, "down"]);
    let conf = ground.conf(0, json!({"max_tx_rate": 10}));
    let error = ground.call("ADD", &conf, &pod).run().fails();
    error
        .is(100, &["max_tx_rate 10", "is down", &format!("ip link set dev {} up", ground.pf.name)]);
    assert_eq!(ground.records(), [""; 0]);
    ground.node.run(&["ip", "link", "set", &ground.pf.name, "up"]);
    ground.pf.await_carrier(&ground.node, &ground.pf.name);
    let attached = ground.attach(&conf, &pod);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn an_ipam_plugin_that_fails_leaves_the_vf_as_it_was() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let conf =
        ground.conf(0, with(possible(), json!({"ipam": {"type": "static", "addresses": []}})));
    ground.call("ADD", &conf, &pod).run().fails();
    ground.is_as_before(&pod);
    let range = ground.node.host_local(&["10.9.1.0/30"]);
    let conf = ground.conf(0, with(possible(), json!({"ipam": range})));
    let attached = ground.attach(&conf, &pod);
    assert_eq!(ground.node.leased("net"), ["10.9.1.2"]);
    // The range is exhausted.
    let sibling = Pod::new();
    let busy = with(conf.clone(), json!({"name": "net"}));
    ground.call("ADD", &busy, &sibling).run().fails().is(11, &[&ground.pf.vf(0), &pod.id]);
    ground.node.del(&attached).ok();
    assert_eq!(ground.node.leased("net"), [""; 0]);
    ground.is_as_before(&pod);
}

#[test]
fn an_interface_of_that_name_in_the_pod_is_refused_before_anything_changes() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    pod.run(&["ip", "link", "add", "net1", "type", "dummy"]);
    let conf = ground.conf(0, possible());
    ground.call("ADD", &conf, &pod).run().fails().is(101, &["net1"]);
    assert_eq!(pod.links(), ["lo", "net1"]);
    pod.run(&["ip", "link", "del", "net1"]);
    ground.is_as_before(&pod);
}

#[test]
fn an_address_that_another_function_of_the_adapter_has_is_refused() {
    need!(Sriov);
    let ground = Ground::new(2);
    let (pod, other) = (Pod::new(), Pod::new());
    let attached = ground.attach(&ground.conf(0, possible()), &pod);
    let conf = ground.conf(1, json!({"mac": "02:11:22:33:44:66"}));
    let error = ground.call("ADD", &conf, &other).run().fails();
    error.is(7, &["mac", "02:11:22:33:44:66", &format!("VF 0 of {}", ground.pf.name)]);
    let own = ground.node.link(&ground.pf.name).expect("the PF")["address"].clone();
    let conf = ground.conf(1, json!({"mac": own}));
    ground
        .call("ADD", &conf, &other)
        .run()
        .fails()
        .is(7, &["mac", "physical function", &ground.pf.name]);
    ground.node.del(&attached).ok();
    ground.is_as_before(&other);
}
