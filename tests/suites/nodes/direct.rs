//! Two segments with a router between: who is reached without a tunnel, and who is not.

use serde_json::json;
use testkit::{Pods, ROUTER_V4, ROUTER_V6, Underlay, silent};

use super::each_tunnel;
use super::ground::{Cluster, Mode};
use super::state::{Place, held};

each_tunnel! {
    nodes_behind_a_router_are_reached_through_the_tunnel,
    adjacent_peers_are_reached_directly_and_the_far_one_through_the_tunnel,
    a_peer_that_comes_near_is_reached_directly,
    a_network_that_turns_direct_and_back_leaves_nothing_of_the_other_way,
}

fn nodes_behind_a_router_are_reached_through_the_tunnel(mode: Mode) {
    let cluster = Cluster::of(mode, Underlay::Routed, mode.pods(), json!({}));
    cluster.all_talk();
    for n in cluster.fleet.numbers() {
        cluster.holds(n);
    }
}

fn adjacent_peers_are_reached_directly_and_the_far_one_through_the_tunnel(mode: Mode) {
    for more in [json!({"directRouting": true}), json!({"directRouting": true, "attach": "ptp"})] {
        let cluster = Cluster::of(mode, Underlay::Routed, mode.pods(), more);
        cluster.all_talk();
        for n in cluster.fleet.numbers() {
            let direct: Vec<usize> =
                cluster.fleet.numbers().filter(|m| cluster.fleet.adjacent(n, *m)).collect();
            cluster.holds_with(n, Some(&direct));
            cluster.check(n).ok();
        }
        // What the kernel says of single packets.
        for (ip, far) in cluster.attachment(2).ips().iter().zip(cluster.attachment(3).ips()) {
            let way = |to: &str| cluster.node(1).ip(&["route", "get", to])[0]["dev"].clone();
            assert_eq!(way(ip), "eth0");
            assert_eq!(way(&far), mode.device(ip.contains(':')).unwrap());
        }
    }
}

fn a_peer_that_comes_near_is_reached_directly(mode: Mode) {
    let more = json!({"directRouting": true});
    let mut cluster = Cluster::of(mode, Underlay::Routed, Pods::V4, more);
    cluster.holds_with(1, Some(&[2]));
    cluster.rest(1);
    cluster.fleet.roster.entries[2]["nodeIPs"] = json!(["192.168.2.3"]);
    cluster.fleet.write(1);
    cluster.check_names(1, &["10.244.3.0/24"]);
    cluster.next_add(1);
    cluster.holds_with(1, Some(&[2, 3]));
    cluster.fleet.roster.entries[2]["nodeIPs"] = json!(["192.168.3.3"]);
    cluster.fleet.write(1);
    cluster.next_add(1);
    cluster.holds_with(1, Some(&[2]));
    cluster.talk(1, 3);
}

fn a_network_that_turns_direct_and_back_leaves_nothing_of_the_other_way(mode: Mode) {
    let mut cluster = Cluster::rested(mode);
    cluster.holds(1);
    cluster.more = json!({"directRouting": true});
    cluster.next_add(1);
    cluster.holds_with(1, Some(&[2, 3]));
    // One side alone is enough to talk.
    cluster.talk(1, 2);
    cluster.talk(2, 1);
    cluster.more = json!({});
    cluster.next_add(1);
    cluster.holds(1);
    cluster.talk(1, 2);
}

#[test]
fn without_a_tunnel_a_peer_behind_a_router_is_named_and_the_near_one_served() {
    for (pods, routers) in [
        (Pods::V4, &[ROUTER_V4][..]),
        (Pods::V6, &[ROUTER_V6][..]),
        (Pods::Dual, &[ROUTER_V4, ROUTER_V6][..]),
    ] {
        let cluster = Cluster::of(Mode::HostGw, Underlay::Routed, pods, json!({}));
        cluster.talk(1, 2);
        let node = cluster.node(1);
        let output = cluster.fleet.attach(&cluster.conf(1), 1);
        let lines = held(node, &Place::of(Mode::HostGw));
        assert!(!lines.iter().any(|line| line.contains("244:3:") || line.contains("244.3.")));
        assert_eq!(
            lines.iter().filter(|line| line.contains("244:2:")).count(),
            usize::from(pods != Pods::V4)
        );
        assert_eq!(
            lines.iter().filter(|line| line.contains("244.2.")).count(),
            usize::from(pods != Pods::V6)
        );
        for ip in cluster.attachment(3).ips() {
            assert!(silent(&output.0, &ip), "{ip}");
        }
        // It is said whenever the node's part is gone through.
        cluster.fleet.write(1);
        let pod = node.pod();
        let said = node.add(&cluster.conf(1), &pod, "eth0");
        said.ok();
        for word in [&["n3"], routers].concat() {
            assert!(said.stderr.contains(word), "{word}: {said}");
        }
        assert!(!said.stderr.contains("n2"), "{said}");
        cluster.check_names(1, &[&["n3"], routers].concat());
        node.status(&cluster.conf(1)).ok();
    }
}
