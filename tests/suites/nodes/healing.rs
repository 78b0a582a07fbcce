//! What befalls a node's own devices and files: CHECK tells of it, and the next ADD mends it.

use std::fs;

use serde_json::{Value, json};
use testkit::{Netns, Pods, Underlay, silent};

use super::each_mode;
use super::ground::{Cluster, Mode};
use super::state::{Place, held};

each_mode! {
    an_underlay_that_was_down_is_used_again,
    a_new_mtu_of_the_underlay_reaches_devices_and_new_pods,
    a_new_address_of_the_node_is_taken_over,
    a_record_that_is_lost_or_nonsense_costs_only_time,
    a_peer_that_went_while_the_record_was_lost_is_forgotten,
    an_add_that_changes_nothing_says_nothing,
}

fn an_underlay_that_was_down_is_used_again(mode: Mode) {
    let cluster = Cluster::of(mode, Underlay::Segment, Pods::V4, json!({}));
    cluster.rest(1);
    let before = held(cluster.node(1), &Place::of(mode));
    cluster.node(1).batch("link set eth0 down\nlink set eth0 up\n");
    if held(cluster.node(1), &Place::of(mode)) != before {
        cluster.check_names(1, &["10.244.2.0/24"]);
    }
    cluster.next_add(1);
    cluster.check(1).ok();
    cluster.holds(1);
    cluster.talk(1, 2);
}

fn a_new_mtu_of_the_underlay_reaches_devices_and_new_pods(mode: Mode) {
    let cluster = Cluster::rested(mode);
    for underlay in [1400, 9000, 1500] {
        cluster.rest(1);
        cluster.fleet.set_mtu(1, underlay);
        if mode != Mode::HostGw {
            cluster.check_names(1, &[mode.device(false).unwrap(), "MTU"]);
        }
        let (pod, attached) = cluster.fleet.attach(&cluster.conf(1), 1);
        assert_eq!(pod.link("eth0").unwrap()["mtu"], underlay - mode.overhead(mode.pods()));
        for ipv6 in [false, true] {
            let Some(device) = mode.device(ipv6) else { continue };
            let own = if ipv6 { Pods::V6 } else { Pods::V4 };
            let link = cluster.node(1).link(device).unwrap();
            assert_eq!(link["mtu"], underlay - mode.overhead(own), "{device} over {underlay}");
        }
        cluster.holds(1);
        cluster.node(1).check(&attached).ok();
        cluster.node(1).del(&attached).ok();
        cluster.talk(1, 2);
    }
}

fn a_new_address_of_the_node_is_taken_over(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    let devices: Vec<&str> = [false, true].iter().filter_map(|v6| mode.device(*v6)).collect();
    let index = |netns: &Netns, device: &str| netns.link(device).unwrap()["ifindex"].clone();
    let before: Vec<Value> = devices.iter().map(|d| index(cluster.node(2), d)).collect();
    cluster.node(2).batch(
        "addr del 192.168.2.2/24 dev eth0\n\
         addr add 192.168.2.22/24 dev eth0\n\
         addr del fd00:192:168:2::2/64 dev eth0\n\
         addr add fd00:192:168:2::22/64 dev eth0 nodad\n",
    );
    // As long as the file says otherwise, that is an error that says so.
    let error = cluster.node(2).add(&cluster.conf(2), &cluster.node(2).pod(), "eth0").fails();
    assert!(error.text().contains("192.168.2.2"), "{error}");
    assert!(!cluster.check(2).succeeded());
    let ips = if mode.pods() == Pods::V4 {
        json!(["192.168.2.22"])
    } else {
        json!(["192.168.2.22", "fd00:192:168:2::22"])
    };
    cluster.fleet.roster.entries[1]["nodeIPs"] = ips;
    cluster.fleet.write_all();
    for n in [1, 3] {
        cluster.check_names(n, &["192.168.2.22"]);
    }
    for n in [2, 1, 3] {
        cluster.next_add(n);
        cluster.check(n).ok();
        cluster.holds(n);
    }
    let after: Vec<Value> = devices.iter().map(|d| index(cluster.node(2), d)).collect();
    assert_eq!(before, after, "the tunnel was made anew");
    cluster.all_talk();
}

fn a_record_that_is_lost_or_nonsense_costs_only_time(mode: Mode) {
    let cluster = Cluster::rested(mode);
    let state = cluster.conf(1)["stateDir"].as_str().unwrap().to_owned();
    assert!(fs::read_dir(&state).unwrap().next().is_some(), "nothing in {state}");
    for text in ["", "{", "nonsense\n", "{\"version\": 77}", "null", "[]"] {
        for entry in fs::read_dir(&state).unwrap() {
            fs::write(entry.unwrap().path(), text).unwrap();
        }
        cluster.next_add(1);
        cluster.holds(1);
    }
    fs::remove_dir_all(&state).unwrap();
    cluster.next_add(1);
    cluster.check(1).ok();
    cluster.holds(1);
    cluster.talk(1, 2);
}

fn a_peer_that_went_while_the_record_was_lost_is_forgotten(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    fs::remove_dir_all(cluster.conf(1)["stateDir"].as_str().unwrap()).unwrap();
    cluster.fleet.roster.entries[1] = Value::Null;
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.holds(1);
    cluster.talk(1, 3);
    for ip in cluster.attachment(2).ips() {
        assert!(silent(cluster.pod(1), &ip));
    }
}

fn an_add_that_changes_nothing_says_nothing(mode: Mode) {
    let cluster = Cluster::rested(mode);
    let (node, pod) = (cluster.node(1), cluster.node(1).pod());
    let (attached, before) = (node.attach(&cluster.conf(1), &pod), held(node, &Place::of(mode)));
    node.del(&attached).ok();
    for _ in 0..2 {
        let output = cluster.next_add(1);
        assert_eq!(output.stderr, "");
        cluster.rest(1);
    }
    assert_eq!(held(node, &Place::of(mode)), before);
}

/// The tunnel devices.
mod devices {
    use super::super::each_tunnel;
    use super::*;

    each_tunnel! {
        a_tunnel_that_was_down_serves_again,
        a_tunnel_that_is_down_is_set_up,
        a_tunnel_that_was_deleted_is_made_anew,
        attributes_that_somebody_changed_are_mended_in_place,
    }

    /// A device of our own in every mode.
    fn own(mode: Mode) -> (Cluster, &'static str) {
        if mode == Mode::Vxlan {
            return (Cluster::rested(mode), "vxlan.1");
        }
        let more = json!({"device": "pods.ipip"});
        let cluster = Cluster::of(mode, Underlay::Segment, Pods::V4, more);
        cluster.rest(1);
        (cluster, "pods.ipip")
    }

    fn a_tunnel_that_was_down_serves_again(mode: Mode) {
        let cluster = Cluster::rested(mode);
        for device in [false, true].iter().filter_map(|v6| mode.device(*v6)) {
            cluster.rest(1);
            cluster.node(1).run(&["ip", "link", "set", device, "down"]);
            cluster.node(1).run(&["ip", "link", "set", device, "up"]);
            cluster.check_names(1, &[device]);
            cluster.next_add(1);
            cluster.check(1).ok();
            cluster.holds(1);
            cluster.talk(1, 2);
        }
    }

    fn a_tunnel_that_is_down_is_set_up(mode: Mode) {
        let cluster = Cluster::rested(mode);
        for device in [false, true].iter().filter_map(|v6| mode.device(*v6)) {
            cluster.rest(1);
            cluster.node(1).run(&["ip", "link", "set", device, "down"]);
            cluster.check_names(1, &[device]);
            cluster.next_add(1);
            cluster.check(1).ok();
            cluster.holds(1);
            cluster.talk(1, 2);
        }
    }

    fn a_tunnel_that_was_deleted_is_made_anew(mode: Mode) {
        let (cluster, device) = own(mode);
        cluster.node(1).run(&["ip", "link", "del", device]);
        cluster.check_names(1, &[device]);
        cluster.next_add(1);
        cluster.check(1).ok();
        if mode == Mode::Vxlan {
            cluster.holds(1);
            cluster.rest(1);
            cluster.node(1).run(&["ip", "link", "del", "vxlan-v6.1"]);
            cluster.next_add(1);
            cluster.holds(1);
        }
        cluster.talk(1, 2);
    }

    fn attributes_that_somebody_changed_are_mended_in_place(mode: Mode) {
        let (cluster, device) = own(mode);
        let node = cluster.node(1);
        let before = node.link(device).unwrap();
        let mut changes = vec!["mtu 1300", "alias nothing"];
        if mode == Mode::Vxlan {
            changes.extend(["address 66:00:00:00:00:99", "addrgenmode eui64"]);
        } else {
            changes.push("type ipip local 192.168.2.1 nopmtudisc");
        }
        for change in changes {
            let words: Vec<&str> =
                ["ip", "link", "set", device].into_iter().chain(change.split(' ')).collect();
            node.run(&words);
            if !change.starts_with("alias") {
                cluster.check_names(1, &[device]);
            }
            node.gc(&cluster.conf(1), &[cluster.attachment(1)]).ok();
            let now = node.link(device).unwrap();
            for key in ["ifindex", "mtu", "address", "ifalias", "inet6_addr_gen_mode", "linkinfo"] {
                if change.starts_with("type") && key == "linkinfo" {
                    assert_eq!(now[key]["info_data"]["pmtudisc"], true, "after {change}");
                    continue;
                }
                assert_eq!(now[key], before[key], "{key} after {change}");
            }
            cluster.check(1).ok();
            cluster.talk(1, 2);
        }
    }
}
