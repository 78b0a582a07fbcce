//! What somebody does to a single object by hand: CHECK names it, GC mends it.

use testkit::{Netns, Pods};

use super::each_mode;
use super::ground::{Cluster, Mode};

each_mode! {
    a_route_that_is_gone_or_changed_is_named_and_mended,
    a_route_of_ours_too_many_is_named_and_removed,
    a_blackhole_that_is_gone_is_named_and_made_again,
}

fn batch(node: &Netns, lines: &[&str]) {
    node.batch(&(lines.join("\n") + "\n"));
}

/// After `lines`, CHECK on node 1 names `words`; GC mends it, and pods talk.
#[track_caller]
fn mended(cluster: &Cluster, lines: &[&str], words: &[&str]) {
    batch(cluster.node(1), lines);
    cluster.check_names(1, words);
    cluster.node(1).gc(&cluster.conf(1), &[cluster.attachment(1)]).ok();
    cluster.holds(1);
    cluster.check(1).ok();
    cluster.talk(1, 2);
}

fn a_route_that_is_gone_or_changed_is_named_and_mended(mode: Mode) {
    let cluster = Cluster::rested(mode);
    let device = mode.device(false).unwrap_or("eth0");
    let via = |to: &str| {
        format!("route replace 10.244.2.0/24 via {to} dev {device} onlink proto 112 metric 112")
    };
    mended(&cluster, &["route del 10.244.2.0/24 proto 112"], &["10.244.2.0/24"]);
    mended(&cluster, &[&via("192.168.2.77")], &["10.244.2.0/24"]);
    let other = "route replace 10.244.2.0/24 via 192.168.2.3 dev eth0 proto 112 metric 112";
    mended(&cluster, &[other], &["10.244.2.0/24"]);
    if mode.pods() == Pods::Dual {
        mended(&cluster, &["route del fd00:244:2::/64 proto 112"], &["fd00:244:2::/64"]);
        let other =
            "route replace fd00:244:2::/64 via fd00:192:168:2::3 dev eth0 proto 112 metric 112";
        mended(&cluster, &[other], &["fd00:244:2::/64"]);
        // A second way to the same destination, which IPv6 takes for a part of the first.
        let also = other.replace("replace", "append");
        mended(&cluster, &[&also], &["fd00:244:2::/64"]);
    }
}

fn a_route_of_ours_too_many_is_named_and_removed(mode: Mode) {
    let cluster = Cluster::rested(mode);
    for dst in ["10.244.77.0/24", "10.244.2.128/25", "10.244.0.0/16"] {
        let line = format!("route add {dst} via 192.168.2.3 dev eth0 proto 112 metric 112");
        mended(&cluster, &[&line], &[dst]);
    }
    let same = "route add 10.244.2.0/24 via 192.168.2.3 dev eth0 proto 112 metric 77";
    mended(&cluster, &[same], &["10.244.2.0/24"]);
    mended(&cluster, &["route add blackhole 10.244.55.0/24 proto 112"], &["10.244.55.0/24"]);
}

fn a_blackhole_that_is_gone_is_named_and_made_again(mode: Mode) {
    let cluster = Cluster::rested(mode);
    mended(&cluster, &["route del blackhole 10.244.1.0/24 proto 112"], &["10.244.1.0/24"]);
}

mod tunnels {
    use super::super::each_tunnel;
    use super::super::state::{link_local, vtep_mac};
    use super::*;

    each_tunnel! { an_address_that_is_gone_or_too_many_is_named_and_mended }

    fn an_address_that_is_gone_or_too_many_is_named_and_mended(mode: Mode) {
        let cluster = Cluster::rested(mode);
        let device = mode.device(false).unwrap();
        let gone = format!("addr del 10.244.1.0/32 dev {device}");
        mended(&cluster, &[&gone], &["10.244.1.0", device]);
        assert_eq!(cluster.node(1).addresses(device), ["10.244.1.0/32"]);
        if mode == Mode::Vxlan {
            let more = format!("addr add 10.244.1.7/32 dev {device}");
            mended(&cluster, &[&more], &["10.244.1.7", device]);
            assert_eq!(cluster.node(1).addresses(device), ["10.244.1.0/32"]);
            let gone = "addr del fd00:244:1::/128 dev vxlan-v6.1";
            mended(&cluster, &[gone], &["fd00:244:1::", "vxlan-v6.1"]);
        }
    }

    #[test]
    fn a_neighbour_that_is_gone_changed_or_too_many_is_named_and_mended() {
        let cluster = Cluster::rested(Mode::Vxlan);
        let gateway = link_local(&vtep_mac(&cluster.fleet.roster.entries[1], true));
        for (device, ip, odd) in [
            ("vxlan.1", "10.244.2.0", "10.244.66.0"),
            ("vxlan-v6.1", gateway.as_str(), "fd00:244:66::"),
        ] {
            let gone = format!("neigh del {ip} dev {device}");
            mended(&cluster, &[&gone], &[ip, device]);
            let other =
                format!("neigh replace {ip} lladdr 66:00:00:00:00:66 dev {device} nud permanent");
            mended(&cluster, &[&other], &[ip, device]);
            let more =
                format!("neigh replace {odd} lladdr 66:00:00:00:00:66 dev {device} nud permanent");
            mended(&cluster, &[&more], &[odd, device]);
        }
    }

    #[test]
    fn an_fdb_entry_that_is_gone_changed_or_too_many_is_named_and_mended() {
        let cluster = Cluster::rested(Mode::Vxlan);
        let entry = &cluster.fleet.roster.entries[1];
        for (device, ipv6, other) in
            [("vxlan.1", false, "192.168.2.3"), ("vxlan-v6.1", true, "fd00:192:168:2::3")]
        {
            let mac = vtep_mac(entry, ipv6);
            let to = super::super::ground::node_ip(entry, ipv6);
            for (order, word) in [
                (format!("del {mac} dev {device} dst {to} self"), mac.as_str()),
                (format!("replace {mac} dev {device} dst {other} self permanent"), &mac),
                (
                    format!("append 66:00:00:00:00:66 dev {device} dst {other} self permanent"),
                    "66:00:00:00:00:66",
                ),
            ] {
                let words: Vec<&str> =
                    ["bridge", "fdb"].into_iter().chain(order.split(' ')).collect();
                cluster.node(1).run(&words);
                mended(&cluster, &[], &[word, device]);
            }
        }
    }
}
