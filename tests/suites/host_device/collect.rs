//! GC and STATUS.

use serde_json::json;

use super::{bare, conf, device, home, node, records, state};
use crate::conf::{DUAL, with};

#[test]
fn what_is_not_listed_is_given_back_and_the_rest_stays() {
    let node = node();
    device(&node, "dev1", "far1");
    let was = home(&node, "dev0");
    let ipam = json!({"ipam": node.host_local(DUAL)});
    let first = with(conf(&node), ipam.clone());
    let second = with(with(conf(&node), ipam), json!({"device": "dev1"}));
    let (one, two) = (node.pod(), node.pod());
    let lost = node.attach(&first, &one);
    let kept = node.attach(&second, &two);
    node.gc(&first, &[&lost, &kept]).ok();
    node.check(&lost).ok();
    node.gc(&first, &[&kept]).ok();
    assert_eq!(home(&node, "dev0"), was);
    assert_eq!(one.links(), ["lo"]);
    assert_eq!(records(&node), ["link-dev1.json"]);
    assert_eq!(node.leased("net").len(), 2);
    node.check(&kept).ok();
    node.del(&kept).ok();
}

#[test]
fn another_network_s_devices_are_none_of_this_one_s() {
    let (node, pod) = (node(), testkit::Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    node.gc(&with(conf(&node), json!({"name": "net2"})), &[]).ok();
    node.check(&attached).ok();
    node.del(&attached).ok();
}

#[test]
fn without_the_list_nothing_is_given_back() {
    let (node, pod) = (node(), testkit::Pod::new());
    let attached = node.attach(&conf(&node), &pod);
    node.call("host-device").verb("GC").conf(&conf(&node)).run();
    node.check(&attached).ok();
    node.del(&attached).ok();
}

#[test]
fn a_dead_container_s_device_is_collected() {
    let (node, mut pod) = (node(), testkit::Pod::new());
    let conf = with(conf(&node), json!({"ipam": node.host_local(DUAL)}));
    node.attach(&conf, &pod);
    pod.remove();
    node.gc(&conf, &[]).ok();
    assert_eq!(records(&node), [""; 0]);
    assert_eq!(node.leased("net"), [""; 0]);
}

#[test]
fn status_says_whether_the_journal_can_be_written() {
    let node = node();
    node.status(&conf(&node)).ok();
    node.status(&with(conf(&node), json!({"device": ""}))).ok();
    let file = node.directory().join("file");
    std::fs::write(&file, "").expect("a file");
    for directory in [json!(file), json!(file.join("below")), json!("relative")] {
        let error = node.status(&with(bare(&node), json!({"stateDir": directory}))).fails();
        error.is(50, &["stateDir"]);
    }
    let error = node.status(&with(conf(&node), json!({"mtu": 3}))).fails();
    error.is(7, &["mtu"]);
    let unwell = json!({"ipam": {"type": "no-such-manager"}});
    assert_ne!(node.status(&with(conf(&node), unwell)).fails().code, 0);
    assert_eq!(records(&node), [""; 0]);
    assert!(state(&node).is_dir());
}
