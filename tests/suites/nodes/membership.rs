//! Peers come, go and change between ADDs: CHECK tells of it, the next ADD follows, and there is one
//! of everything afterwards.

use serde_json::{Value, json};
use testkit::{Pods, silent};

use super::each_mode;
use super::ground::{Cluster, Mode};

each_mode! {
    a_peer_that_joins_is_reached_after_the_next_add,
    a_peer_that_leaves_is_gone_after_the_next_add,
    a_peer_with_other_pods_is_reached_at_those,
    a_peer_with_more_pods_is_reached_at_all,
    two_peers_that_swap_addresses_are_told_apart,
    a_network_that_moves_to_other_addresses_leaves_the_old_ones,
    a_node_in_its_own_list_is_no_peer,
    the_order_of_peers_changes_nothing,
    peers_in_the_configuration_do_without_a_file,
}

fn a_peer_that_joins_is_reached_after_the_next_add(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    let third = std::mem::take(&mut cluster.fleet.roster.entries[2]);
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.holds(1);
    cluster.check(1).ok();
    assert!(silent(cluster.pod(1), &cluster.attachment(3).ip()));
    cluster.fleet.roster.entries[2] = third;
    cluster.fleet.write(1);
    let mut words = vec!["10.244.3.0/24"];
    if mode.pods() == Pods::Dual {
        words.push("fd00:244:3::/64");
    }
    cluster.check_names(1, &words);
    cluster.next_add(1);
    cluster.holds(1);
    cluster.check(1).ok();
    cluster.talk(1, 3);
}

fn a_peer_that_leaves_is_gone_after_the_next_add(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    cluster.fleet.roster.entries[1] = Value::Null;
    cluster.fleet.write(1);
    cluster.check_names(1, &["10.244.2.0/24"]);
    cluster.next_add(1);
    cluster.holds(1);
    cluster.check(1).ok();
    cluster.talk(1, 3);
    cluster.fleet.roster.entries[2] = Value::Null;
    cluster.fleet.write(1);
    cluster.next_add(1);
    // None is left, and the node serves its own pods.
    cluster.holds(1);
    cluster.check(1).ok();
}

fn a_peer_with_other_pods_is_reached_at_those(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    let cidrs = match mode.pods() {
        Pods::Dual => json!(["10.244.22.0/24", "fd00:244:22::/64"]),
        _ => json!(["10.244.22.0/24"]),
    };
    // The bridge of that node has one gateway for IPv4.
    cluster.more = json!({"forceAddress": true});
    cluster.fleet.roster.entries[1]["podCIDRs"] = cidrs;
    cluster.fleet.write_all();
    cluster.check_names(1, &["10.244.22.0/24", "10.244.2.0/24"]);
    for n in cluster.fleet.numbers() {
        cluster.next_add(n);
        cluster.holds(n);
    }
    cluster.check(1).ok();
    cluster.pods[1] = cluster.fleet.attach(&cluster.conf(2), 2);
    assert!(cluster.attachment(2).ip().starts_with("10.244.22."));
    cluster.talk(1, 2);
    cluster.talk(2, 3);
}

fn a_peer_with_more_pods_is_reached_at_all(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    let cidrs = cluster.fleet.roster.entries[1]["podCIDRs"].as_array_mut().unwrap();
    cidrs.push(json!("10.244.128.0/20"));
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.holds(1);
    cluster.talk(1, 2);
}

fn two_peers_that_swap_addresses_are_told_apart(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    let entries = &mut cluster.fleet.roster.entries;
    let (second, third) = (entries[1]["nodeIPs"].take(), entries[2]["nodeIPs"].take());
    (entries[1]["nodeIPs"], entries[2]["nodeIPs"]) = (third, second);
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.holds(1);
    cluster.check(1).ok();
}

fn a_network_that_moves_to_other_addresses_leaves_the_old_ones(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    cluster.more = json!({"forceAddress": true});
    cluster.fleet.roster = cluster.fleet.another("pods", "10.245", "fd00:245", mode.pods());
    cluster.fleet.write_all();
    for n in cluster.fleet.numbers() {
        cluster.next_add(n);
        cluster.holds(n);
    }
    let numbers = cluster.fleet.numbers();
    cluster.pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
    assert!(cluster.attachment(1).ip().starts_with("10.245.1."));
    cluster.talk(1, 2);
}

fn a_node_in_its_own_list_is_no_peer(mode: Mode) {
    let cluster = Cluster::rested(mode);
    let mut file = cluster.fleet.roster.file(1);
    let own = file["local"].clone();
    file["peers"].as_array_mut().unwrap().insert(0, own);
    cluster.fleet.roster.write_text(cluster.node(1), &file.to_string());
    assert_eq!(cluster.next_add(1).stderr, "");
    cluster.holds(1);
    cluster.check(1).ok();
}

fn the_order_of_peers_changes_nothing(mode: Mode) {
    let cluster = Cluster::rested(mode);
    let before = cluster.node(1).snapshot();
    let mut file = cluster.fleet.roster.file(1);
    file["peers"].as_array_mut().unwrap().reverse();
    cluster.fleet.roster.write_text(cluster.node(1), &file.to_string());
    cluster.check(1).ok();
    cluster.next_add(1);
    before.assert_same(&cluster.node(1).snapshot());
}

fn peers_in_the_configuration_do_without_a_file(mode: Mode) {
    let cluster = Cluster::rested(mode);
    let mut conf = cluster.conf(1);
    conf.as_object_mut().unwrap().remove("peersFile");
    let file = cluster.fleet.roster.file(1);
    for key in ["local", "peers", "clusterCIDRs"] {
        conf[key] = file[key].clone();
    }
    std::fs::remove_file(cluster.fleet.roster.path(cluster.node(1))).unwrap();
    let (pod, attached) = cluster.fleet.attach(&conf, 1);
    cluster.holds(1);
    super::ground::talk("inline", (&pod, &attached), (cluster.pod(2), cluster.attachment(2)));
    cluster.node(1).check(&attached).ok();
    cluster.node(1).status(&conf).ok();
    // One peer less in the configuration is one route less.
    conf["peers"].as_array_mut().unwrap().truncate(1);
    let (_pod, attached) = cluster.fleet.attach(&conf, 1);
    let lines = super::state::held(cluster.node(1), &super::state::Place::of(mode));
    assert!(!lines.iter().any(|line| line.contains("10.244.3.0")), "{lines:?}");
    cluster.node(1).check(&attached).ok();
    cluster.node(1).gc(&conf, &[&attached]).ok();
}

mod addresses {
    use super::super::each_tunnel;
    use super::super::state::{Place, held, vtep_mac};
    use super::*;

    each_tunnel! { a_tunnel_s_address_follows_the_first_pod_network }

    fn a_tunnel_s_address_follows_the_first_pod_network(mode: Mode) {
        let mut cluster = Cluster::rested(mode);
        let device = mode.device(false).unwrap();
        assert_eq!(cluster.node(1).addresses(device), ["10.244.1.0/32"]);
        cluster.more = json!({"forceAddress": true});
        cluster.fleet.roster.entries[0]["podCIDRs"][0] = json!("10.244.99.0/24");
        cluster.fleet.write(1);
        cluster.next_add(1);
        assert_eq!(cluster.node(1).addresses(device), ["10.244.99.0/32"]);
    }

    #[test]
    fn a_family_that_goes_takes_its_routes_along() {
        let mut cluster = Cluster::rested(Mode::Vxlan);
        cluster.fleet.roster = cluster.fleet.another("pods", "10.244", "fd00:244", Pods::V4);
        cluster.fleet.write(1);
        cluster.check_names(1, &["fd00:244:2::/64"]);
        cluster.next_add(1);
        let lines = held(cluster.node(1), &Place::of(Mode::Vxlan));
        assert!(!lines.iter().any(|line| line.starts_with("route fd00")), "{lines:?}");
        cluster.node(1).gc(&cluster.conf(1), &[]).ok();
        cluster.holds(1);
    }

    #[test]
    fn a_new_vtep_mac_replaces_the_old_one_everywhere() {
        let mut cluster = Cluster::rested(Mode::Vxlan);
        let old = [false, true].map(|ipv6| vtep_mac(&cluster.fleet.roster.entries[1], ipv6));
        let index = |cluster: &Cluster| cluster.node(2).link("vxlan.1").unwrap()["ifindex"].clone();
        let before = index(&cluster);
        cluster.fleet.roster.entries[1]["vtepMAC"] = json!("66:00:00:00:00:02");
        cluster.fleet.roster.entries[1]["vtepMACv6"] = json!("66:00:00:00:06:02");
        cluster.fleet.write_all();
        cluster.check_names(1, &["66:00:00:00:00:02", "66:00:00:00:06:02"]);
        cluster.check_names(2, &["66:00:00:00:00:02", "vxlan.1"]);
        for n in cluster.fleet.numbers() {
            cluster.next_add(n);
            cluster.check(n).ok();
            cluster.holds(n);
            let lines = held(cluster.node(n), &Place::of(Mode::Vxlan));
            assert!(!lines.iter().any(|l| old.iter().any(|mac| l.contains(mac.as_str()))));
        }
        assert_eq!(index(&cluster), before);
        assert_eq!(cluster.node(2).link("vxlan.1").unwrap()["address"], "66:00:00:00:00:02");
        assert_eq!(cluster.node(2).link("vxlan-v6.1").unwrap()["address"], "66:00:00:00:06:02");
        cluster.all_talk();
    }
}
