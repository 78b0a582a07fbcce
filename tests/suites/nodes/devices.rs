//! Tunnel devices that are there already, and those that we make.

use serde_json::{Value, json};
use testkit::{Pods, Underlay, need};

use super::each_tunnel;
use super::ground::{Cluster, Mode};
use super::state::{Place, held, vtep_mac};

each_tunnel! {
    a_name_that_something_else_has_is_refused_and_left_as_it_was,
    devices_carry_what_the_modes_promise,
}

fn empty(mode: Mode, pods: Pods, more: Value) -> Cluster {
    Cluster::empty(mode, Underlay::Segment, pods, more)
}

/// An ADD on node 1 fails with code 101 and these words, and changes nothing on the node.
#[track_caller]
fn refused(cluster: &Cluster, words: &[&str]) {
    let node = cluster.node(1);
    let before = node.snapshot();
    let pod = node.pod();
    node.add(&cluster.conf(1), &pod, "eth0").fails().is(101, words);
    let difference = before.difference(&node.snapshot());
    let kernel: Vec<&str> = difference.lines().filter(|l| !l.contains(" files: ")).collect();
    assert!(kernel.is_empty(), "{kernel:#?}");
    assert_eq!((pod.links(), node.leased("pods")), (vec!["lo".to_owned()], vec![]));
}

fn a_name_that_something_else_has_is_refused_and_left_as_it_was(mode: Mode) {
    let mut kinds = vec!["bridge", "veth peer name other"];
    if mode == Mode::Ipip {
        kinds.push("vxlan id 4 dstport 4789");
    }
    for made in kinds {
        let cluster = empty(mode, Pods::V4, json!({"device": "taken.1"}));
        let node = cluster.node(1);
        node.batch(&format!("link add taken.1 type {made}\nlink set taken.1 up\n"));
        let kind = made.split(' ').next().unwrap();
        refused(&cluster, &["taken.1", kind]);
        node.status(&cluster.conf(1));
        node.gc(&cluster.conf(1), &[]);
        // DEL has nothing to do and does it.
        node.del(&node.unheard(&cluster.conf(1), &node.pod())).ok();
        assert_eq!(node.link("taken.1").unwrap()["linkinfo"]["info_kind"], kind);
    }
}

#[test]
fn a_name_that_is_taken_for_ipv6_spoils_nothing_for_ipv4() {
    let cluster = empty(Mode::Vxlan, Pods::Dual, json!({}));
    cluster.node(1).batch("link add vxlan-v6.1 type bridge\n");
    refused(&cluster, &["vxlan-v6.1", "bridge"]);
}

fn devices_carry_what_the_modes_promise(mode: Mode) {
    let own = json!({"device": if mode == Mode::Vxlan { "vxlan.1" } else { "own.1" }});
    let cluster = Cluster::of(mode, Underlay::Segment, mode.pods(), own);
    cluster.talk(1, 2);
    let node = cluster.node(1);
    if mode == Mode::Ipip {
        let link = node.link("own.1").unwrap();
        let data = &link["linkinfo"]["info_data"];
        assert_eq!((&link["linkinfo"]["info_kind"], &link["mtu"]), (&json!("ipip"), &json!(1480)));
        assert_eq!((&data["local"], &data["remote"]), (&json!("192.168.2.1"), &json!("any")));
        assert_eq!((&data["pmtudisc"], &link["ifalias"]), (&json!(true), &json!("podwire:pods")));
        assert_eq!(node.addresses("own.1"), ["10.244.1.0/32"]);
        // tunl0 comes with the module and is not ours.
        assert_eq!(node.addresses("tunl0"), [""; 0]);
        let more = json!({"device": "own.1", "pmtudisc": false});
        let cluster = Cluster::of(mode, Underlay::Segment, Pods::V4, more);
        let data = cluster.node(1).link("own.1").unwrap()["linkinfo"]["info_data"].take();
        assert_eq!(data["pmtudisc"], json!(false), "{data}");
        return;
    }
    for (device, ipv6, mtu, address) in
        [("vxlan.1", false, 1450, "10.244.1.0/32"), ("vxlan-v6.1", true, 1430, "fd00:244:1::/128")]
    {
        let link = node.link(device).unwrap();
        let data = &link["linkinfo"]["info_data"];
        let entry = &cluster.fleet.roster.entries[0];
        let local = super::ground::node_ip(entry, ipv6);
        assert_eq!((&data["id"], &data["port"]), (&json!(1), &json!(8472)));
        assert_eq!((&data["link"], &data["learning"]), (&json!("eth0"), &json!(false)));
        let shown = if ipv6 { &data["local6"] } else { &data["local"] };
        assert_eq!(*shown, json!(local), "{data}");
        assert_eq!((&link["mtu"], &link["address"]), (&json!(mtu), &json!(vtep_mac(entry, ipv6))));
        assert_eq!(link["ifalias"], "podwire:pods");
        assert_eq!(link["inet6_addr_gen_mode"], "none");
        assert_eq!(node.addresses(device), [address]);
        assert_eq!(node.sysctl(&format!("net/ipv6/conf/{device}/accept_ra")), "0");
        assert_eq!(node.sysctl(&format!("net/ipv4/conf/{device}/rp_filter")), "2");
        assert_eq!(node.sysctl(&format!("net/ipv4/conf/{device}/forwarding")), "1");
        assert!(!node.run(&["ip", "-6", "addr", "show", "dev", device]).contains("fe80"));
    }
}

#[test]
fn vni_port_and_device_are_as_asked() {
    let more = json!({"vni": 16_777_215, "port": 4789, "device": "flannel.7"});
    let cluster = Cluster::of(Mode::Vxlan, Underlay::Segment, Pods::Dual, more);
    for device in ["flannel.7", "flannel-v6.7"] {
        let data = cluster.node(1).link(device).unwrap()["linkinfo"]["info_data"].take();
        assert_eq!((&data["id"], &data["port"]), (&json!(16_777_215), &json!(4789)));
    }
    cluster.talk(1, 2);
    let more = json!({"vni": 5, "device": "tunnel"});
    let cluster = Cluster::of(Mode::Vxlan, Underlay::Segment, Pods::Dual, more);
    assert!(
        cluster.node(1).link("tunnel").is_some() && cluster.node(1).link("tunnel-v6").is_some()
    );
    cluster.talk(1, 2);
    let more = json!({"vni": 5});
    let cluster = Cluster::of(Mode::Vxlan, Underlay::Segment, Pods::Dual, more);
    assert!(
        cluster.node(1).link("vxlan.5").is_some() && cluster.node(1).link("vxlan-v6.5").is_some()
    );
}

/// What flannel leaves on a node: its device, address, a peer's entries and route, all unmarked.
const FLANNEL: &str = "link add flannel.1 address 1a:2b:3c:4d:5e:6f mtu 1450 type vxlan id 1 dev eth0 local 192.168.2.1 dstport 8472 nolearning\n\
    link set flannel.1 up\n\
    addr add 10.244.1.0/32 dev flannel.1\n\
    neigh replace 10.244.2.0 lladdr 1a:00:00:00:00:02 dev flannel.1 nud permanent\n\
    route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink\n";

#[test]
fn a_device_of_flannel_is_adopted_as_it_is() {
    let mut cluster = empty(Mode::Vxlan, Pods::V4, json!({"device": "flannel.1"}));
    // A node keeps the address that flannel has told its peers.
    cluster.fleet.roster.entries[0]["vtepMAC"] = json!("1a:2b:3c:4d:5e:6f");
    cluster.fleet.write_all();
    cluster.node(1).batch(FLANNEL);
    let stale =
        ["1a:00:00:00:00:02", "dev", "flannel.1", "dst", "192.168.2.2", "self", "permanent"];
    cluster.node(1).run(&[&["bridge", "fdb", "append"], &stale[..]].concat());
    let before = cluster.node(1).link("flannel.1").unwrap();
    let numbers = cluster.fleet.numbers();
    cluster.pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
    let after = cluster.node(1).link("flannel.1").unwrap();
    for key in ["ifindex", "address", "mtu"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(before["linkinfo"], after["linkinfo"]);
    cluster.all_talk();
    cluster.check(1).ok();
    cluster.node(1).gc(&cluster.conf(1), &[cluster.attachment(1)]).ok();
    cluster.check(1).ok();
    cluster.all_talk();
    // What flannel left for a peer goes with the peer.
    cluster.fleet.roster.entries[1] = Value::Null;
    cluster.fleet.write(1);
    cluster.next_add(1);
    let place = Place { protocol: 112, devices: vec!["flannel.1".to_owned()] };
    let held = held(cluster.node(1), &place);
    let left = |line: &&String| line.contains("1a:00:00:00:00:02") || line.contains("10.244.2.0");
    assert_eq!(held.iter().find(left), None);
    assert!(!cluster.node(1).run(&["ip", "route"]).contains("10.244.2.0"));
    assert_eq!(cluster.node(1).link("flannel.1").unwrap()["ifindex"], before["ifindex"]);
}

#[test]
fn a_foreign_device_is_mended_where_that_can_be_done_in_place() {
    for change in ["address 1a:00:00:00:00:01", "mtu 1300", "type vxlan id 1 learning"] {
        let mut cluster = empty(Mode::Vxlan, Pods::V4, json!({"device": "flannel.1"}));
        cluster.node(1).batch(FLANNEL);
        cluster.node(1).batch(&format!("link set flannel.1 {change}\n"));
        let before = cluster.node(1).link("flannel.1").unwrap()["ifindex"].take();
        let numbers = cluster.fleet.numbers();
        cluster.pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
        let after = cluster.node(1).link("flannel.1").unwrap();
        assert_eq!((&after["ifindex"], &after["mtu"]), (&before, &json!(1450)), "{change}");
        assert_eq!(after["linkinfo"]["info_data"]["learning"], false, "{change}");
        assert_eq!(after["address"], vtep_mac(&cluster.fleet.roster.entries[0], false));
        cluster.talk(1, 2);
        cluster.check(1).ok();
    }
}

#[test]
fn a_foreign_device_that_would_have_to_be_made_anew_is_refused() {
    for (made, words) in [
        ("type vxlan id 7 dev eth0 local 192.168.2.1 dstport 8472", ["7", "1"]),
        ("type vxlan id 1 dev eth0 local 192.168.2.1 dstport 4789", ["4789", "8472"]),
    ] {
        let cluster = empty(Mode::Vxlan, Pods::V4, json!({"device": "flannel.1"}));
        cluster.node(1).batch(&format!("link add flannel.1 {made}\nlink set flannel.1 up\n"));
        refused(&cluster, &[&["flannel.1"], &words[..]].concat());
    }
}

#[test]
fn a_device_of_ours_is_made_anew_where_it_must_be() {
    let mut cluster = empty(Mode::Vxlan, Pods::Dual, json!({"device": "pods.0"}));
    drop(cluster.fleet.attach(&cluster.conf(1), 1));
    for more in [json!({"port": 4789}), json!({"port": 4789, "vni": 77}), json!({})] {
        cluster.more = crate::conf::with(json!({"device": "pods.0"}), more.clone());
        let numbers = cluster.fleet.numbers();
        cluster.pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
        let data = cluster.node(1).link("pods.0").unwrap()["linkinfo"]["info_data"].take();
        assert_eq!(data["id"], more.get("vni").cloned().unwrap_or(json!(1)));
        assert_eq!(data["port"], more.get("port").cloned().unwrap_or(json!(8472)));
        cluster.talk(1, 2);
        cluster.check(1).ok();
    }
}

#[test]
fn whoever_has_the_vni_and_port_already_is_named() {
    let cluster = empty(Mode::Vxlan, Pods::V4, json!({}));
    let other = "link add other0 type vxlan id 1 dev eth0 local 192.168.2.1 dstport 8472";
    cluster.node(1).batch(&format!("{other}\n"));
    refused(&cluster, &["other0", "vni", "8472"]);
}

#[test]
fn a_port_that_a_program_has_is_refused_and_no_device_is_left() {
    let cluster = empty(Mode::Vxlan, Pods::V4, json!({}));
    let program = cluster.node(1).enter(|| std::net::UdpSocket::bind("0.0.0.0:8472"));
    refused(&cluster, &["port 8472 is in use"]);
    drop(program);
    cluster.next_add(1);
}

/// An ADD and STATUS on node 1 fail with these words.
#[track_caller]
fn hopeless(cluster: &Cluster, words: &[&str]) {
    let (node, conf) = (cluster.node(1), cluster.conf(1));
    node.add(&conf, &node.pod(), "eth0").fails().is(101, words);
    node.status(&conf).fails().is(50, words);
}

#[test]
fn a_device_that_works_stays_where_the_next_one_cannot_be_made() {
    let mut cluster = Cluster::of(Mode::Vxlan, Underlay::Segment, Pods::V4, json!({}));
    let index = |cluster: &Cluster| cluster.node(1).link("vxlan.1").unwrap()["ifindex"].take();
    let before = index(&cluster);
    let program = cluster.node(1).enter(|| std::net::UdpSocket::bind("0.0.0.0:9999"));
    cluster.more = json!({"port": 9999});
    hopeless(&cluster, &["port 9999 is in use"]);
    drop(program);
    let other = "link add other9 type vxlan id 9 dev eth0 local 192.168.2.1 dstport 8472";
    cluster.node(1).batch(&format!("{other}\n"));
    cluster.more = json!({"vni": 9, "device": "vxlan.1"});
    hopeless(&cluster, &["other9 has vni 9"]);
    assert_eq!(index(&cluster), before);
    cluster.talk(1, 2);
}

#[test]
fn a_device_may_get_another_name_and_keep_its_vni_and_port() {
    let mut cluster = Cluster::of(Mode::Vxlan, Underlay::Segment, Pods::Dual, json!({}));
    cluster.more = json!({"device": "overlay0"});
    cluster.next_add(1);
    let links = cluster.node(1).links();
    assert!(!links.iter().any(|link| link.starts_with("vxlan")), "{links:?}");
    cluster.talk(1, 2);
}

#[test]
fn a_device_that_lost_its_name_is_told_as_the_one_in_the_way() {
    let cluster = Cluster::of(Mode::Vxlan, Underlay::Segment, Pods::Dual, json!({}));
    cluster.node(1).batch(
        "link set vxlan.1 down\nlink set vxlan.1 name lost0\nlink set lost0 alias someone\n",
    );
    hopeless(&cluster, &["lost0 has vni 1 on port 8472"]);
}

#[test]
fn what_keeps_a_device_quiet_is_compared_and_mended() {
    let cluster = Cluster::of(Mode::Vxlan, Underlay::Segment, Pods::Dual, json!({}));
    let node = cluster.node(1);
    node.run(&["ip", "link", "set", "vxlan-v6.1", "addrgenmode", "eui64"]);
    cluster.check_names(1, &["vxlan-v6.1 may make a link-local address"]);
    cluster.next_add(1);
    node.set_sysctl("net/ipv4/conf/vxlan.1/rp_filter", "1");
    node.set_sysctl("net/ipv6/conf/vxlan-v6.1/accept_ra", "1");
    cluster.check_names(1, &["vxlan.1/rp_filter is 1", "vxlan-v6.1/accept_ra is 1"]);
    node.set_sysctl("net/ipv6/conf/vxlan-v6.1/disable_ipv6", "1");
    cluster.check_names(1, &["vxlan-v6.1/disable_ipv6 is 1"]);
    node.gc(&cluster.conf(1), &[cluster.attachment(1)]).ok();
    cluster.check(1).ok();
}

#[test]
fn checksum_offload_is_as_asked() {
    need!(Ethtool);
    let mut cluster = Cluster::new(Mode::Vxlan);
    let state = |cluster: &Cluster| {
        let shown = cluster.node(1).run(&["ethtool", "-k", "vxlan.1"]);
        let line = shown.lines().find(|line| line.starts_with("tx-checksumming:")).unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    };
    // A kernel newer than 5.7, which any is that this runs on.
    assert_eq!(state(&cluster), "on");
    for wanted in ["off", "on", "off"] {
        cluster.more = json!({"checksumOffload": wanted});
        cluster.next_add(1);
        assert_eq!(state(&cluster), wanted);
        cluster.talk(1, 2);
    }
}
