//! Configurations that are refused before anything is touched, and STATUS.

use serde_json::{Value, json};
use testkit::{Pf, Pod, need};

use super::Ground;
use crate::conf::with;

#[test]
fn a_device_that_cannot_be_given_away_is_refused_with_what_would_help() {
    need!(Sriov);
    let ground = Ground::new(2);
    let pod = Pod::new();
    let (first, second) = (ground.pf.vf(0), ground.pf.vf(1));
    let pf = ground.pf.address.clone();
    let cases: [(Value, &[&str]); 8] = [
        (json!({"deviceID": ""}), &["deviceID", "resourceName", "requests", "capabilities"]),
        (json!({"deviceID": null}), &["deviceID", "resourceName"]),
        (json!({"deviceID": pf}), &["deviceID", &pf, "physical function", "host-device"]),
        (json!({"deviceID": "0000:00:00.0"}), &["deviceID", "0000:00:00.0", "host-device"]),
        (json!({"deviceID": "0000:7f:1f.7"}), &["0000:7f:1f.7"]),
        (json!({"deviceID": "../../../etc/passwd"}), &["deviceID", "../../../etc/passwd"]),
        (json!({"pciBusID": second}), &["pciBusID", &second, "deviceID", &first]),
        (
            json!({"runtimeConfig": {"deviceID": second}}),
            &["runtimeConfig.deviceID", &first, &second],
        ),
    ];
    for (change, words) in cases {
        let conf = ground.conf(0, with(json!({"vlan": 5}), change));
        ground.call("ADD", &conf, &pod).run().fails().is(7, words);
        ground.is_as_before(&pod);
    }
    for id in ["deviceID", "pciBusID"] {
        let conf = ground.conf(0, json!({"deviceID": null, (id): first}));
        let attached = ground.attach(&conf, &pod);
        ground.node.del(&attached).ok();
    }
    let conf = ground
        .conf(0, json!({"deviceID": null, "runtimeConfig": {"deviceID": first.to_uppercase()}}));
    let attached = ground.attach(&conf, &pod);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn impossible_options_are_named_and_touch_nothing() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let cases: [(Value, &[&str]); 10] = [
        (json!({"vlan": 4095}), &["vlan", "4095"]),
        (json!({"spoofchk": "yes"}), &["spoofchk", "yes"]),
        (json!({"min_tx_rate": 20, "max_tx_rate": 10}), &["min_tx_rate", "20", "10"]),
        (json!({"mac": "01:00:5e:00:00:01"}), &["mac", "01:00:5e:00:00:01"]),
        (json!({"trunk": [{"id": 5}]}), &["trunk", "5", "switchdev", &ground.pf.name]),
        (json!({"logFile": "/etc/cron.d/x"}), &["logFile", "/etc/cron.d/x", "/var/log/podwire"]),
        (json!({"logFile": "/var/log/podwire/../x"}), &["logFile", "/var/log/podwire/../x"]),
        (json!({"logLevel": "loud"}), &["logLevel", "loud"]),
        (json!({"stateDir": "devices"}), &["stateDir", "devices"]),
        (json!({"strict": true, "max-tx-rate": 5}), &["max-tx-rate", "max_tx_rate"]),
    ];
    for (change, words) in cases {
        ground.call("ADD", &ground.conf(0, change.clone()), &pod).run().fails().is(7, words);
        ground.is_as_before(&pod);
        // What was never there is deleted without a word, whatever the options.
        if change.get("stateDir").is_none() {
            ground.call("DEL", &ground.conf(0, change), &pod).run().ok();
        }
    }
}

#[test]
fn the_address_of_the_pod_comes_before_the_networks() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let asked = "02:11:22:33:55:01";
    let conf = ground.conf(0, json!({"mac": "02:11:22:33:55:02", "runtimeConfig": {"mac": asked}}));
    let attached = ground.attach(&conf, &pod);
    assert_eq!(pod.link("net1").expect("the VF")["address"], asked);
    ground.node.del(&attached).ok();
    let conf = ground.conf(0, json!({"mac": "02:11:22:33:55:02"}));
    let args = format!("IgnoreUnknown=1;MAC={asked};K8S_POD_NAME=x");
    let output = ground.call("ADD", &conf, &pod).args(&args).run();
    let attached = ground.node.attached(&conf, &pod, "net1", &output);
    assert_eq!(ground.pf.info(0)["address"], asked);
    ground.node.del(&attached).ok();
    ground.is_as_before(&pod);
}

#[test]
fn the_log_is_written_where_the_administrator_has_it() {
    need!(Sriov);
    let ground = Ground::new(1);
    let pod = Pod::new();
    let path = format!("/var/log/podwire/{}.log", ground.pf.name);
    let conf = ground.conf(0, json!({"logFile": path, "logLevel": "info"}));
    let attached = ground.attach(&conf, &pod);
    ground.node.del(&attached).ok();
    let log = std::fs::read_to_string(&path).expect("the log");
    assert!(log.contains("ADD ") && log.contains("DEL ") && log.contains(&pod.id), "{log}");
    std::fs::remove_file(&path).expect("the log");
    std::os::unix::fs::symlink("/tmp/elsewhere", &path).expect("a link");
    let attached = ground.attach(&conf, &pod);
    ground.node.del(&attached).ok();
    assert!(!std::path::Path::new("/tmp/elsewhere").exists(), "a link was followed");
    std::fs::remove_file(&path).expect("the link");
    ground.is_as_before(&pod);
}

#[test]
fn status_tells_whether_there_is_a_vf_to_give() {
    need!(Sriov);
    let ground = Ground::new(1);
    let conf = ground.conf(0, json!({}));
    ground.node.status(&conf).ok();
    let any = ground.conf(0, json!({"deviceID": null}));
    ground.node.status(&any).ok();
    let wrong = ground.conf(0, json!({"vlan": -1}));
    ground.node.status(&wrong).fails().is(7, &["vlan", "-1"]);
    ground.is_as_before(&Pod::new());
    assert!(!Pf::all().is_empty());
}
