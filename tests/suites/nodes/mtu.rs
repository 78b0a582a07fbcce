//! How large a packet may be.

use serde_json::json;
use testkit::{Pods, Underlay, fits, too_big, transfer};

use super::each_mode;
use super::ground::{Cluster, Mode};

/// A few megabytes.
const LENGTH: usize = 4_000_003;

each_mode! {
    pods_have_what_the_underlay_leaves,
    a_full_packet_passes_and_one_byte_more_is_refused,
    an_mtu_that_was_asked_for_is_the_pods,
    a_transfer_arrives_whole,
}

fn mtu_of(cluster: &Cluster, n: usize) -> u64 {
    cluster.pod(n).link("eth0").expect("eth0")["mtu"].as_u64().expect("an MTU")
}

fn pods_have_what_the_underlay_leaves(mode: Mode) {
    for pods in mode.all_pods() {
        let cluster = Cluster::empty(mode, Underlay::Segment, *pods, json!({}));
        for (n, underlay) in [(1, 1500), (2, 9000), (3, 1400)] {
            cluster.fleet.set_mtu(n, underlay);
            let (pod, attached) = cluster.fleet.attach(&cluster.conf(n), n);
            let left = underlay - mode.overhead(*pods);
            assert_eq!(pod.link("eth0").unwrap()["mtu"], left, "{pods:?} over {underlay}");
            assert_eq!(cluster.node(n).link(&attached.host_link()).unwrap()["mtu"], left);
            for ipv6 in [false, true] {
                if let Some(link) = mode.device(ipv6).and_then(|d| cluster.node(n).link(d)) {
                    let own = if ipv6 { Pods::V6 } else { Pods::V4 };
                    assert_eq!(link["mtu"], underlay - mode.overhead(own), "{link}");
                }
            }
            cluster.node(n).check(&attached).ok();
        }
    }
}

fn a_full_packet_passes_and_one_byte_more_is_refused(mode: Mode) {
    let bridged = mode.all_pods().iter().map(|pods| (*pods, json!({})));
    for (pods, more) in bridged.chain([(mode.pods(), json!({"attach": "ptp"}))]) {
        let cluster = Cluster::of(mode, Underlay::Segment, pods, more);
        let full = 1500 - mode.overhead(pods);
        for ip in cluster.attachment(2).ips() {
            assert!(fits(cluster.pod(1), &ip, full), "{full} bytes to {ip}");
            assert!(too_big(cluster.pod(1), &ip, full + 1), "{full} bytes and one to {ip}");
            assert!(fits(cluster.node(1), &ip, full), "{full} bytes from the node to {ip}");
        }
    }
}

fn an_mtu_that_was_asked_for_is_the_pods(mode: Mode) {
    let cluster = Cluster::of(mode, Underlay::Segment, mode.pods(), json!({"mtu": 1300}));
    assert_eq!(mtu_of(&cluster, 1), 1300);
    cluster.check(1).ok();
    let ip = cluster.attachment(2).ip();
    assert!(fits(cluster.pod(1), &ip, 1300) && too_big(cluster.pod(1), &ip, 1301));
}

fn a_transfer_arrives_whole(mode: Mode) {
    let cluster = Cluster::new(mode);
    for ip in cluster.attachment(2).ips() {
        assert!(transfer(cluster.pod(1), cluster.pod(2), &ip, LENGTH).unwrap());
        assert!(transfer(cluster.node(1), cluster.pod(2), &ip, LENGTH).unwrap());
    }
}

/// Where direct and tunnelled peers mix, pods may send what the underlay carries, and the node tells
/// them where a way is narrower.
mod mixed {
    use super::super::each_tunnel;
    use super::*;

    each_tunnel! { the_way_to_each_peer_has_its_own_limit }

    fn the_way_to_each_peer_has_its_own_limit(mode: Mode) {
        let more = json!({"directRouting": true});
        let cluster = Cluster::of(mode, Underlay::Routed, mode.pods(), more);
        assert_eq!([mtu_of(&cluster, 1), mtu_of(&cluster, 3)], [1500, 1500]);
        for (near, far) in cluster.attachment(2).ips().iter().zip(cluster.attachment(3).ips()) {
            assert!(fits(cluster.pod(1), near, 1500));
            assert!(too_big(cluster.pod(1), near, 1501));
            let own = if far.contains(':') { Pods::V6 } else { Pods::V4 };
            let full = 1500 - mode.overhead(own);
            assert!(fits(cluster.pod(1), &far, full));
            assert!(too_big(cluster.pod(1), &far, full + 1));
            assert!(fits(cluster.pod(1), &far, full));
            assert!(transfer(cluster.pod(2), cluster.pod(3), &far, LENGTH).unwrap());
            assert!(transfer(cluster.pod(1), cluster.pod(2), near, LENGTH).unwrap());
        }
    }
}
