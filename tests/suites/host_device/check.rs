//! CHECK: every difference is told.

use serde_json::json;
use testkit::{Node, Pod};

use super::{bare, conf, node, state};
use crate::conf::with;

/// A CHECK after something was done says so.
#[track_caller]
fn tells(what: impl Fn(&Node, &Pod), words: &[&str]) {
    let (node, pod) = (node(), Pod::new());
    let asked = json!({"mtu": 1300, "allmulti": true, "promisc": true});
    let mut conf = with(conf(&node), asked);
    conf["ipam"]["routes"] = json!([{"dst": "10.66.0.0/16", "gw": "10.9.0.1"}]);
    let attached = node.attach(&conf, &pod);
    node.check(&attached).ok();
    what(&node, &pod);
    node.check(&attached).fails().is(103, words);
    node.del(&attached).ok();
}

#[test]
fn the_address_the_mtu_the_modes_and_the_state_are_compared() {
    tells(
        |_, pod| {
            pod.batch(
                "link set eth0 address 02:00:00:00:66:66 mtu 1000\n\
                 link set eth0 promisc off allmulticast off\n\
                 link set eth0 down\n",
            );
        },
        &["hardware address", "MTU", "promisc", "allmulti", "eth0 is down"],
    );
}

#[test]
fn addresses_and_routes_are_compared() {
    tells(
        |_, pod| pod.batch("addr flush dev eth0\n"),
        &["lacks the address 10.9.0.2/24", "lacks the route 10.66.0.0/16"],
    );
}

#[test]
fn another_name_is_told() {
    tells(
        |_, pod| pod.batch("link set eth0 down\nlink set eth0 name mine0\nlink set mine0 up\n"),
        &["eth0 is called mine0"],
    );
}

#[test]
fn a_device_that_is_on_the_node_again_is_told() {
    tells(
        |node, pod| {
            pod.run(&["ip", "link", "set", "eth0", "netns", node.path()]);
        },
        &["dev0 is on the node, as eth0"],
    );
}

#[test]
fn a_device_that_is_gone_is_told_even_if_another_has_its_name() {
    tells(
        |_, pod| {
            pod.batch("link del eth0\nlink add eth0 type veth peer name peer0\n");
        },
        &["dev0 has no network interface any more"],
    );
}

#[test]
fn an_attachment_that_the_journal_does_not_know_is_told() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&bare(&node), &pod);
    let record = state(&node).join("link-dev0.json");
    let text = std::fs::read(&record).expect("a record");
    std::fs::remove_file(&record).expect("a record");
    node.check(&attached).fails().is(103, &["journal"]);
    std::fs::write(&record, text).expect("a record");
    node.check(&attached).ok();
    node.del(&attached).ok();
}

#[test]
fn an_add_that_was_cut_short_is_told() {
    let (node, pod) = (node(), Pod::new());
    let attached = node.attach(&bare(&node), &pod);
    let record = state(&node).join("link-dev0.json");
    let text = std::fs::read_to_string(&record).expect("a record");
    std::fs::write(&record, text.replace("\"ready\"", "\"taken\"")).expect("a record");
    node.check(&attached).fails().is(103, &["dev0", "not wholly attached"]);
    node.del(&attached).ok();
}
