//! What is not ours stays as it is, whatever we do beside it.

use serde_json::{Value, json};
use testkit::{Attachment, Pod, Pods, Underlay};

use super::each_mode;
use super::ground::{Cluster, Mode, talk};
use super::state::{Place, held};
use crate::conf::with;

each_mode! {
    foreign_routes_and_devices_are_left_alone,
    a_route_of_somebody_else_that_goes_first_is_named_and_left,
    a_link_that_was_down_is_noticed_behind_somebody_else_s_route,
    a_network_that_claims_too_much_takes_nothing_of_another,
    two_networks_of_one_mode_live_side_by_side,
}

fn a_route_of_somebody_else_that_goes_first_is_named_and_left(mode: Mode) {
    for line in [
        "route add 10.244.2.0/24 via 192.168.2.3 dev eth0 proto 80",
        "route add 10.244.2.0/25 via 192.168.2.3 dev eth0 proto 80 metric 9000",
        "route add unreachable 10.244.2.0/24",
    ] {
        let cluster = Cluster::new(mode);
        cluster.node(1).batch(line);
        keeps(&cluster, || {
            cluster.check_names(1, &["packets to 10.244.2.0/24 take"]);
            let pod = cluster.node(1).pod();
            let added = cluster.node(1).add(&cluster.conf(1), &pod, "eth0");
            assert!(added.succeeded(), "{line}: {added}");
        });
        cluster.node(1).batch(&line.replace(" add ", " del "));
        cluster.check(1).ok();
    }
}

fn a_link_that_was_down_is_noticed_behind_somebody_else_s_route(mode: Mode) {
    let cluster = Cluster::new(mode);
    let node = cluster.node(1);
    let (link, v4) = match mode.device(false) {
        Some(device) => (device, "10.244.2.0/24 via 192.168.2.3 dev eth0"),
        None => ("eth0", "10.244.2.1/32 dev lo"),
    };
    node.set_sysctl("net/ipv6/conf/eth0/keep_addr_on_down", "1");
    cluster.rest(1);
    node.batch(&format!("route add {v4} metric 5\n"));
    // The next ADD compares all and makes a record while that route is there.
    let state = cluster.conf(1)["stateDir"].as_str().expect("a path").to_owned();
    std::fs::remove_file(format!("{state}/record.json")).expect("the record");
    let add = || {
        let pod = node.pod();
        let added = node.add(&cluster.conf(1), &pod, "eth0");
        assert!(added.succeeded(), "{added}");
    };
    add();
    let before = held(node, &Place::of(mode));
    node.batch(&format!("link set {link} down\nlink set {link} up\n"));
    add();
    assert_eq!(held(node, &Place::of(mode)), before);
}

fn a_network_that_claims_too_much_takes_nothing_of_another(mode: Mode) {
    let cluster = Cluster::empty(mode, Underlay::Segment, mode.pods(), json!({}));
    let node = cluster.node(1);
    let beside = |conf: Value, name: &str| {
        with(conf, json!({"stateDir": node.directory().join("states").join(name)}))
    };
    let (_pod, attached) = cluster.fleet.attach(&beside(cluster.conf(1), "pods"), 1);
    let before = held(node, &Place::of(mode));
    let mut blue = cluster.fleet.another("blue", "10.66", "fd00:66", mode.pods());
    blue.cluster[0] = String::from("10.0.0.0/8");
    blue.write(node, 1);
    let conf = beside(with(blue.conf("host-gw", node), json!({"bridge": "cni1"})), "blue");
    for _ in 0..2 {
        let pod = node.pod();
        let output = node.add(&conf, &pod, "eth0");
        assert!(output.succeeded(), "{output}");
        assert!(output.stderr.contains("10.244.0.0/16 and ours, 10.0.0.0/8"), "{output}");
        node.check(&attached).fails().is(103, &["of network blue", "overlap"]);
        let now: Vec<String> = held(node, &Place::of(mode))
            .into_iter()
            .filter(|line| !line.contains("10.66.") && !line.contains("fd00:66:"))
            .collect();
        assert_eq!(now, before);
        // What was typed wrong is corrected.
        blue.cluster[0] = String::from("10.66.0.0/16");
        blue.write(node, 1);
        node.gc(&conf, &[]).ok();
        node.gc(&conf, &[]).ok();
        node.check(&attached).ok();
        blue.cluster[0] = String::from("10.0.0.0/8");
        blue.write(node, 1);
    }
}

/// The lines of a node's snapshot that were there before `act` and are not any more.
#[track_caller]
fn keeps<R>(cluster: &Cluster, act: impl FnOnce() -> R) -> R {
    let before = cluster.node(1).snapshot();
    let done = act();
    let difference = before.difference(&cluster.node(1).snapshot());
    let gone: Vec<&str> = difference.lines().filter(|line| line.starts_with("- ")).collect();
    assert!(gone.is_empty(), "gone: {gone:#?}");
    done
}

const FOREIGN: &[&str] = &[
    // Another product's, and nobody's: within the cluster's networks, too, and to a peer's pods.
    "route add 10.244.2.0/24 via 192.168.2.3 dev eth0 proto 80 metric 50000",
    "route add 10.244.2.0/24 via 192.168.2.3 dev eth0 metric 60000",
    "route add 10.244.200.0/24 via 192.168.2.3 dev eth0 proto 80",
    "route add 10.244.201.0/24 via 192.168.2.3 dev eth0",
    "route add blackhole 10.244.202.0/24 proto 80",
    "route add fd00:244:200::/64 via fd00:192:168:2::3 dev eth0 proto 80",
    "route add fd00:244:201::/64 via fd00:192:168:2::3 dev eth0",
    "route add fd00:244:2::/64 via fd00:192:168:2::3 dev eth0 proto 80 metric 50000",
    // Our number, but elsewhere: outside of the cluster, or in another table.
    "route add 172.30.0.0/24 via 192.168.2.3 dev eth0 proto 112 metric 112",
    "route add fd00:999::/64 via fd00:192:168:2::3 dev eth0 proto 112 metric 112",
    "route add 10.244.2.0/24 via 192.168.2.3 dev eth0 proto 112 metric 112 table 77",
    "rule add from 10.244.9.0/24 lookup 77 pref 4000",
    // Devices of the kinds that we make, with all that they may hold.
    "link add other.9 address 66:00:00:00:00:09 type vxlan id 9 dev eth0 local 192.168.2.1 dstport 8472 nolearning",
    "link set other.9 up",
    "addr add 10.99.1.0/32 dev other.9",
    "neigh add 10.99.2.0 lladdr 66:00:00:00:00:90 dev other.9 nud permanent",
    "route add 10.99.2.0/24 via 10.99.2.0 dev other.9 onlink",
    "route add 10.244.203.0/24 via 10.244.203.0 dev other.9 onlink proto 80",
    "neigh add 192.168.2.88 lladdr 02:00:00:00:00:88 dev eth0 nud permanent",
    "addr add 192.168.77.1/24 dev eth0",
];

/// What tells the lines of a snapshot that those made.
const MARKS: &[&str] = &[
    "\"80\"",
    "10.244.20",
    "fd00:244:20",
    "172.3",
    "fd00:999",
    "10.99.",
    "10.98.",
    "other.9",
    "192.168.77",
    "\"77\"",
    "192.168.2.88",
];

fn foreign_routes_and_devices_are_left_alone(mode: Mode) {
    let mut cluster = Cluster::empty(mode, Underlay::Segment, mode.pods(), json!({"ipMasq": true}));
    let node = cluster.node(1);
    node.batch(&(FOREIGN.join("\n") + "\n"));
    let entry = ["66:00:00:00:00:90", "dev", "other.9", "dst", "192.168.2.90", "self", "permanent"];
    node.run(&[&["bridge", "fdb", "append"], &entry[..]].concat());
    if mode == Mode::Ipip {
        // The first look makes tunl0.
        node.batch("link add i0 type ipip local 192.0.2.1\nlink del i0\n");
        node.batch("addr add 10.98.0.1/32 dev tunl0\nlink set tunl0 up\n");
        node.run(&[
            "ip",
            "route",
            "add",
            "10.98.1.0/24",
            "via",
            "192.168.2.3",
            "dev",
            "tunl0",
            "onlink",
        ]);
        let ours_by_number =
            "route add 172.31.0.0/24 via 192.168.2.3 dev tunl0 onlink proto 112 metric 112";
        node.batch(&format!("{ours_by_number}\n"));
        // Its MTU follows ours, and that is all.
        node.run(&["ip", "link", "set", "tunl0", "mtu", "1480"]);
    }
    let conf = cluster.conf(1);
    let pod = cluster.node(1).pod();
    let output = keeps(&cluster, || cluster.node(1).add(&conf, &pod, "eth0"));
    assert_eq!(output.stderr, "");
    let attached = cluster.node(1).attached(&conf, &pod, "eth0", &output);
    let (other, theirs) = cluster.fleet.attach(&cluster.conf(2), 2);
    talk("beside foreign routes", (&pod, &attached), (&other, &theirs));
    cluster.node(1).check(&attached).ok();
    cluster.node(1).del(&attached).ok();
    for round in 0..2 {
        // What we make changes; what others made does not.
        cluster.fleet.roster.entries[1] = if round == 0 {
            Value::Null
        } else {
            json!({"name": "n9", "podCIDRs": ["10.244.9.0/24"], "nodeIPs": ["192.168.2.9"]})
        };
        cluster.fleet.write(1);
        let theirs = |cluster: &Cluster| {
            let snapshot = cluster.node(1).snapshot();
            let sections = ["links", "addresses", "routes", "rules", "neighbours", "fdb"];
            let lines: Vec<String> = sections
                .iter()
                .flat_map(|section| snapshot.section(section).to_vec())
                .filter(|line| MARKS.iter().any(|mark| line.contains(mark)))
                .collect();
            lines
        };
        let before = theirs(&cluster);
        assert!(before.len() > 15, "{before:#?}");
        cluster.next_add(1);
        cluster.node(1).gc(&conf, &[]).ok();
        assert_eq!(theirs(&cluster), before);
    }
}

fn two_networks_of_one_mode_live_side_by_side(mode: Mode) {
    let mut cluster = Cluster::new(mode);
    let mut blue = cluster.fleet.another("blue", "10.66", "fd00:66", mode.pods());
    let more = match mode {
        Mode::HostGw => json!({"bridge": "cni1"}),
        Mode::Vxlan => json!({"bridge": "cni1", "vni": 66}),
        Mode::Ipip => json!({"bridge": "cni1", "device": "blue.ipip"}),
    };
    let conf = |cluster: &Cluster, blue: &testkit::Roster, n: usize| {
        with(blue.conf(mode.plugin(), cluster.node(n)), more.clone())
    };
    let before = held(cluster.node(1), &Place::of(mode));
    let mut pods: Vec<(Pod, Attachment)> = Vec::new();
    for n in cluster.fleet.numbers() {
        blue.write(cluster.node(n), n);
        pods.push(cluster.fleet.attach(&conf(&cluster, &blue, n), n));
    }
    let [first, second, _] = &pods[..] else { panic!("three pods") };
    assert!(first.1.ip().starts_with("10.66.1."));
    talk("blue", (&first.0, &first.1), (&second.0, &second.1));
    cluster.talk(1, 2);
    cluster.check(1).ok();
    cluster.node(1).check(&first.1).ok();
    let after = held(cluster.node(1), &Place::of(mode));
    let ours: Vec<String> =
        after.into_iter().filter(|l| !l.contains("10.66.") && !l.contains("fd00:66:")).collect();
    let before: Vec<String> =
        before.into_iter().filter(|l| !l.contains("10.66.") && !l.contains("fd00:66:")).collect();
    assert_eq!(ours, before);
    // A change in one is none in the other.
    blue.entries[1] = Value::Null;
    blue.write(cluster.node(1), 1);
    cluster.node(1).gc(&conf(&cluster, &blue, 1), &[&first.1]).ok();
    cluster.check(1).ok();
    cluster.talk(1, 2);
    cluster.fleet.roster.entries[1] = Value::Null;
    cluster.fleet.write(1);
    let all = cluster.node(1).snapshot();
    cluster.next_add(1);
    let difference = all.difference(&cluster.node(1).snapshot());
    assert!(!difference.contains("10.66.") && difference.contains("10.244.2.0"), "{difference}");
    cluster.node(1).check(&first.1).ok();
    assert_eq!(mode.pods() == Pods::Dual, difference.contains("fd00:244:2::"), "{difference}");
}
