use cni::Code;
use serde_json::{Value, json};

use super::*;

fn parse(more: &Value) -> Result<Options, Error> {
    parse_with(more, None)
}

fn device(more: &Value) -> String {
    Options::device(&conf(more)).unwrap().unwrap().to_string()
}

fn parse_with(more: &Value, mac: Option<&str>) -> Result<Options, Error> {
    Options::parse(&conf(more), mac)
}

fn conf(more: &Value) -> NetConf {
    let mut conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "sriov"});
    conf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    NetConf::parse(conf.to_string().into_bytes()).unwrap()
}

#[test]
fn without_options_the_vf_is_left_as_it_is() {
    let options = parse(&json!({})).unwrap();
    assert!(options.vf.is_empty());
    assert_eq!(Options::device(&conf(&json!({}))).unwrap(), None);
    let nulls = json!({"vlan": null, "min_tx_rate": null, "mac": "", "spoofchk": "", "trunk": []});
    assert!(parse(&nulls).unwrap().vf.is_empty());
}

#[test]
fn every_option_is_read_whatever_the_case_of_its_key() {
    assert_eq!(device(&json!({"DEVICEID": "0000:01:10.0"})), "0000:01:10.0");
    let options = parse(&json!({
        "DEVICEID": "0000:01:10.0", "VLAN": 100, "vlanqos": 3, "vlanproto": "802.1AD",
        "Mac": "02:11:22:33:44:55", "SpoofChk": "off", "TRUST": "on", "Link_State": "enable",
        "MIN_TX_RATE": 10, "max_tx_rate": 20, "queryrss": true, "MTU": 9000, "AllMulti": true,
        "promisc": false, "onunsupported": "warn", "driverpolicy": "require-kernel",
    }))
    .unwrap();
    let vlan = VfVlan { id: 100, qos: 3, protocol: VlanProtocol::Service };
    assert_eq!(
        options.vf,
        VfWanted {
            vlan: Some(vlan),
            mac: Some(MacAddr([2, 0x11, 0x22, 0x33, 0x44, 0x55])),
            min_rate: Some(10),
            max_rate: Some(20),
            spoof_check: Some(false),
            trust: Some(true),
            link_state: Some(VfLinkState::Enable),
            query_rss: Some(true),
            trunk: None,
        }
    );
    assert_eq!(options.mtu, Some(9000));
    assert_eq!((options.all_multicast, options.promiscuous), (Some(true), Some(false)));
    assert_eq!(options.on_unsupported, OnUnsupported::Warn);
    assert_eq!(options.driver_policy, DriverPolicy::Kernel);
}

#[test]
fn vlan_0_is_a_wish_and_no_vlan_is_none() {
    assert_eq!(parse(&json!({"vlan": 0})).unwrap().vf.vlan, Some(VfVlan::default()));
    assert_eq!(parse(&json!({})).unwrap().vf.vlan, None);
}

#[test]
fn the_runtimes_address_comes_before_the_networks() {
    let own = "02:00:00:00:00:01";
    let all = json!({
        "mac": own, "args": {"cni": {"mac": "02:00:00:00:00:02"}},
        "runtimeConfig": {"mac": "02:00:00:00:00:03"},
    });
    let mac = |conf: &Value, env| parse_with(conf, env).unwrap().vf.mac.unwrap().0[5];
    assert_eq!(mac(&all, Some("02:00:00:00:00:04")), 3);
    let mut conf = all.clone();
    conf["runtimeConfig"] = json!({});
    assert_eq!(mac(&conf, Some("02:00:00:00:00:04")), 2);
    conf["args"] = json!({});
    assert_eq!(mac(&conf, Some("02:00:00:00:00:04")), 4);
    assert_eq!(mac(&conf, None), 1);
}

#[test]
fn the_device_may_be_told_in_three_places_that_agree() {
    let all = json!({
        "runtimeConfig": {"deviceID": "0000:01:10.0"}, "deviceID": "0000:01:10.0",
        "pciBusID": "0000:01:10.0",
    });
    assert_eq!(device(&all), "0000:01:10.0");
    assert_eq!(device(&json!({"runtimeConfig": {"deviceID": "0000:01:10.2"}})), "0000:01:10.2");
    assert_eq!(device(&json!({"pciBusID": "0000:01:10.4"})), "0000:01:10.4");
    let e = parse(&json!({"deviceID": "0000:01:10.0", "pciBusID": "0000:01:10.2"})).unwrap_err();
    assert_eq!(e.code, Code::CONFIG);
    for word in ["pciBusID", "0000:01:10.2", "deviceID", "0000:01:10.0"] {
        assert!(e.to_string().contains(word), "{e}");
    }
}

#[test]
fn a_trunk_is_ids_and_ranges() {
    let trunk = json!({"trunk": [{"id": 7}, {"minID": 100, "maxID": 102}, {"id": 101}]});
    let ids: Vec<u16> = parse(&trunk).unwrap().trunk.unwrap().0.into_iter().collect();
    assert_eq!(ids, [7, 100, 101, 102]);
}

#[test]
fn impossible_values_are_refused_with_key_and_value() {
    for (conf, words) in [
        (json!({"vlan": -1}), ["vlan", "-1"]),
        (json!({"vlan": 4095}), ["vlan", "4095"]),
        (json!({"vlan": 5, "vlanQoS": 8}), ["vlanQoS", "8"]),
        (json!({"vlan": 5, "vlanQoS": -1}), ["vlanQoS", "-1"]),
        (json!({"vlanQoS": 0}), ["vlanQoS", "0"]),
        (json!({"vlan": 0, "vlanQoS": 1}), ["vlanQoS", "1"]),
        (json!({"vlan": 5, "vlanProto": "802.1x"}), ["vlanProto", "802.1x"]),
        (json!({"vlan": 5, "vlanProto": ""}), ["vlanProto", "\"\""]),
        (json!({"vlanProto": "802.1Q"}), ["vlanProto", "802.1q"]),
        (json!({"vlan": 0, "vlanProto": "802.1ad"}), ["vlanProto", "802.1ad"]),
        (json!({"mac": "02:11"}), ["mac", "02:11"]),
        (json!({"mac": "01:00:00:00:00:01"}), ["mac", "01:00:00:00:00:01"]),
        (json!({"mac": "00:00:00:00:00:00"}), ["mac", "00:00:00:00:00:00"]),
        (json!({"runtimeConfig": {"mac": "x"}}), ["runtimeConfig.mac", "x"]),
        (json!({"spoofchk": "ON"}), ["spoofchk", "ON"]),
        (json!({"spoofchk": "true"}), ["spoofchk", "true"]),
        (json!({"trust": "yes"}), ["trust", "yes"]),
        (json!({"link_state": "up"}), ["link_state", "up"]),
        (json!({"min_tx_rate": -1}), ["min_tx_rate", "-1"]),
        (json!({"max_tx_rate": 4_294_967_296_i64}), ["max_tx_rate", "4294967296"]),
        (json!({"min_tx_rate": 20, "max_tx_rate": 10}), ["min_tx_rate", "20"]),
        (json!({"mtu": 67}), ["mtu", "67"]),
        (json!({"mtu": 65536}), ["mtu", "65536"]),
        (json!({"mtu": -1}), ["mtu", "-1"]),
        (json!({"onUnsupported": "ignore"}), ["onUnsupported", "ignore"]),
        (json!({"driverPolicy": "vfio"}), ["driverPolicy", "vfio"]),
        (json!({"lockTimeout": -1}), ["lockTimeout", "-1"]),
        (json!({"trunk": [{"id": 0}]}), ["trunk[0].id", "0"]),
        (json!({"trunk": [{"id": 1}, {"minID": 5, "maxID": 4}]}), ["trunk[1].minID", "5"]),
        (json!({"trunk": [{"minID": 5}]}), ["trunk[0]", "maxID"]),
        (json!({"trunk": [{"minID": 5, "maxID": 4095}]}), ["trunk[0].maxID", "4095"]),
        (json!({"trunk": [{"id": 5}], "vlan": 7}), ["vlan", "7"]),
        (json!({"deviceID": "../../etc"}), ["deviceID", "../../etc"]),
        (json!({"deviceID": "0000:01:10.8"}), ["deviceID", "0000:01:10.8"]),
        (json!({"deviceID": "mlx5_core.sf.4"}), ["deviceID", "host-device"]),
        (json!({"runtimeConfig": {"deviceID": "eth0/x"}}), ["runtimeConfig.deviceID", "eth0/x"]),
        (json!({"strict": true, "max-tx-rate": 5}), ["max-tx-rate", "max_tx_rate"]),
        (json!({"strict": true, "bridge": "x"}), ["bridge", "strict"]),
    ] {
        let e = parse(&conf).expect_err(&conf.to_string());
        assert_eq!(e.code, Code::CONFIG, "{conf}: {e}");
        for word in words {
            assert!(e.to_string().contains(word), "{conf}: {word:?} is not named by {e}");
        }
    }
}

#[test]
fn strict_lets_pass_what_runtimes_add() {
    let conf = json!({
        "strict": true, "deviceID": "0000:01:10.0", "pciBusID": "0000:01:10.0", "args": {"cni": {}},
        "runtimeConfig": {}, "capabilities": {"mac": true}, "ipam": {}, "prevResult": null,
        "cni.dev/valid-attachments": [], "LOGLEVEL": "info",
    });
    parse(&conf).unwrap();
}
