//! Packets between pods and nodes, and whom they seem to come from.

use std::net::IpAddr;

use serde_json::json;
use testkit::{OUTSIDE_V4, OUTSIDE_V6, Pods, UPLINK_V4, UPLINK_V6, Underlay, ping, tcp, udp};

use super::each_mode;
use super::ground::{Cluster, Mode, node_ip};

each_mode! {
    pods_of_all_nodes_reach_each_other_in_each_family,
    pods_and_nodes_reach_each_other,
    a_pod_reaches_itself,
    routed_pods_reach_each_other_too,
    a_strict_reverse_path_filter_lets_pods_talk,
    masquerade_hides_pods_from_the_outside_alone,
    what_is_exempt_sees_pods_by_their_own_addresses,
}

fn pods_of_all_nodes_reach_each_other_in_each_family(mode: Mode) {
    for pods in mode.all_pods() {
        let cluster = Cluster::of(mode, Underlay::Segment, *pods, json!({}));
        cluster.all_talk();
        for n in cluster.fleet.numbers() {
            cluster.holds(n);
            cluster.check(n).ok();
        }
    }
}

fn pods_and_nodes_reach_each_other(mode: Mode) {
    let cluster = Cluster::new(mode);
    let (pod, node) = (cluster.pod(1), cluster.node(2));
    for (ip, theirs) in cluster.attachment(1).ips().iter().zip(cluster.attachment(2).ips()) {
        let ipv6 = ip.contains(':');
        let own: IpAddr = ip.parse().unwrap();
        let there = node_ip(&cluster.fleet.roster.entries[1], ipv6);
        assert!(ping(pod, &there));
        assert_eq!(tcp(pod, node, &there).unwrap(), own);
        assert_eq!(udp(pod, node, &there).unwrap(), own);
        let here = node_ip(&cluster.fleet.roster.entries[0], ipv6);
        assert_eq!(tcp(pod, cluster.node(1), &here).unwrap(), own);
        // A node speaks from the address of the device that it sends by.
        let device = mode.device(ipv6).unwrap_or("eth0");
        let addresses = cluster.node(1).addresses(device);
        for other in [cluster.pod(2), cluster.pod(1)] {
            let theirs = if std::ptr::eq(other, pod) { ip } else { &theirs };
            assert!(ping(cluster.node(1), theirs));
        }
        let seen = tcp(cluster.node(1), cluster.pod(2), &theirs).unwrap().to_string();
        assert!(addresses.iter().any(|a| a.starts_with(&format!("{seen}/"))), "{seen}");
        assert_eq!(udp(cluster.node(1), cluster.pod(2), &theirs).unwrap().to_string(), seen);
    }
    // The other node's bridge is in its pods' network.
    assert!(ping(pod, "10.244.2.1") && ping(cluster.node(1), "10.244.2.1"));
}

fn a_pod_reaches_itself(mode: Mode) {
    let cluster = Cluster::empty(mode, Underlay::Segment, mode.pods(), json!({}));
    let (pod, attached) = cluster.fleet.attach(&cluster.conf(1), 1);
    for ip in attached.ips() {
        let own: IpAddr = ip.parse().unwrap();
        assert!(ping(&pod, &ip));
        assert_eq!(tcp(&pod, &pod, &ip).unwrap(), own);
    }
}

fn routed_pods_reach_each_other_too(mode: Mode) {
    for pods in mode.all_pods() {
        let cluster = Cluster::of(mode, Underlay::Segment, *pods, json!({"attach": "ptp"}));
        cluster.all_talk();
        let (node, attached) = (cluster.node(1), cluster.attachment(1));
        cluster.check(1).ok();
        cluster.holds(1);
        assert_eq!(node.link("cni0"), None);
        // Two on one node, too.
        let beside = cluster.fleet.attach(&cluster.conf(1), 1);
        let first = (cluster.pod(1), attached);
        super::ground::talk("beside", (&beside.0, &beside.1), first);
        for ip in attached.ips() {
            let seen = tcp(node, cluster.pod(1), &ip).unwrap().to_string();
            assert!(node.run(&["ip", "addr"]).contains(&format!(" {seen}/")), "{seen}");
        }
        node.del(&beside.1).ok();
        node.del(attached).ok();
        assert_eq!((node.leased("pods"), cluster.pod(1).links()), (vec![], vec!["lo".to_owned()]));
        cluster.holds(1);
    }
}

fn a_strict_reverse_path_filter_lets_pods_talk(mode: Mode) {
    let mut cluster = Cluster::empty(mode, Underlay::Segment, Pods::V4, json!({}));
    for n in cluster.fleet.numbers() {
        for scope in ["all", "default", "eth0"] {
            cluster.node(n).set_sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "1");
        }
    }
    let numbers = cluster.fleet.numbers();
    cluster.pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
    cluster.talk(1, 2);
    // A node's answers come from its own address through the tunnel.
    assert!(ping(cluster.node(1), &cluster.attachment(2).ip()));
}

fn masquerade_hides_pods_from_the_outside_alone(mode: Mode) {
    for more in [json!({"ipMasq": true}), json!({"ipMasq": true, "attach": "ptp"})] {
        let mut cluster = Cluster::of(mode, Underlay::Segment, mode.pods(), more);
        cluster.talk(1, 2);
        cluster.talk(2, 1);
        let outside = cluster.node(1).outside();
        let pod = cluster.pod(1);
        for ip in cluster.attachment(1).ips() {
            let own: IpAddr = ip.parse().unwrap();
            let ipv6 = ip.contains(':');
            let there = node_ip(&cluster.fleet.roster.entries[1], ipv6);
            assert_eq!(tcp(pod, cluster.node(2), &there).unwrap(), own);
            let here = node_ip(&cluster.fleet.roster.entries[0], ipv6);
            assert_eq!(tcp(pod, cluster.node(1), &here).unwrap(), own);
            let (server, seen) =
                if ipv6 { (OUTSIDE_V6, UPLINK_V6) } else { (OUTSIDE_V4, UPLINK_V4) };
            assert!(ping(pod, server));
            assert_eq!(tcp(pod, &outside, server).unwrap().to_string(), seen);
            assert_eq!(udp(pod, &outside, server).unwrap().to_string(), seen);
        }
        // A node that joins later is exempt from the next ADD on.
        cluster.fleet.roster.entries[2]["nodeIPs"] = json!(["192.168.2.33", "fd00:192:168:2::33"]);
        if mode.pods() == Pods::V4 {
            cluster.fleet.roster.entries[2]["nodeIPs"] = json!(["192.168.2.33"]);
        }
        cluster.node(3).run(&["ip", "addr", "add", "192.168.2.33/24", "dev", "eth0"]);
        cluster.fleet.write_all();
        let (newer, attached) = cluster.fleet.attach(&cluster.conf(1), 1);
        let seen = tcp(&newer, cluster.node(3), "192.168.2.33").unwrap();
        assert_eq!(seen.to_string(), attached.ip());
    }
}

fn what_is_exempt_sees_pods_by_their_own_addresses(mode: Mode) {
    let more =
        json!({"ipMasq": true, "nonMasqueradeCIDRs": ["192.0.2.0/24", "2001:db8:ffff::/64"]});
    let cluster = Cluster::of(mode, Underlay::Segment, mode.pods(), more);
    let outside = cluster.node(1).outside();
    outside.run(&["ip", "route", "add", "10.244.1.0/24", "via", UPLINK_V4]);
    outside.run(&["ip", "route", "add", "fd00:244:1::/64", "via", UPLINK_V6]);
    for ip in cluster.attachment(1).ips() {
        let own: IpAddr = ip.parse().unwrap();
        let server = if ip.contains(':') { OUTSIDE_V6 } else { OUTSIDE_V4 };
        assert_eq!(tcp(cluster.pod(1), &outside, server).unwrap(), own);
        assert_eq!(udp(cluster.pod(1), &outside, server).unwrap(), own);
    }
    cluster.check(1).ok();
}
