//! What a peer file says, and what is wrong with it.

use peers::Fleet;
use serde_json::{Value, json};

use crate::sample::{WHAT, file, fleet, mac, net, node, node4, parse, shown};

/// `node4(n)` with one key changed.
fn with(n: u8, key: &str, value: Value) -> Value {
    let mut node = node4(n);
    node[key] = value;
    node
}

/// What is said of one wrong peer, with n3 served nonetheless.
fn faults(peer: Value) -> Vec<String> {
    let fleet = fleet(node4(1), vec![peer, node4(3)]);
    let served: Vec<_> = fleet.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(served, ["n3"], "{:?}", fleet.faults);
    shown(&fleet.faults)
}

fn names(fleet: &Fleet) -> Vec<&str> {
    fleet.peers.iter().map(|peer| peer.name.as_str()).collect()
}

fn error(file: &Value) -> (u32, String) {
    let error = parse(file).unwrap_err();
    let msg = error.msg.strip_prefix(WHAT).and_then(|msg| msg.strip_prefix(": "));
    (error.code.0, msg.unwrap_or_else(|| panic!("{}", error.msg)).to_owned())
}

#[test]
fn a_file_is_read_with_keys_in_any_letter_case_and_unknown_ones_passed_over() {
    let text = json!({
        "Version": 1, "comment": "mine", "CLUSTERCIDRS": ["10.244.0.0/16"],
        "local": {"NAME": "n1", "podcidrs": ["10.244.1.0/24"], "NodeIPs": ["192.168.2.1"], "rack": 5},
        "peers": [{"name": "n2", "podCIDRs": ["10.244.2.0/24", "10.244.20.0/24"],
            "nodeIPs": ["192.168.2.2"], "vtepMAC": "66:0A:1b:2c:3d:4e", "vtepMACv6": null}],
    });
    let fleet = parse(&text).unwrap();
    assert_eq!(fleet.cluster, [net("10.244.0.0/16")]);
    assert_eq!(fleet.local.name, "n1");
    assert_eq!(fleet.peers[0].pod_cidrs, [net("10.244.2.0/24"), net("10.244.20.0/24")]);
    assert_eq!(fleet.peers[0].vtep_mac, mac("66:0a:1b:2c:3d:4e"));
    // printf %s n2-v6 | sha256sum
    assert_eq!(fleet.peers[0].vtep_mac_v6, mac("66:c8:2a:a8:7f:8b"));
    assert!(fleet.faults.is_empty(), "{:?}", fleet.faults);
}

#[test]
fn a_file_without_peers_is_a_fleet_of_one() {
    let mut text = file(node(1), vec![]);
    assert!(parse(&text).unwrap().peers.is_empty());
    text["peers"] = Value::Null;
    assert!(parse(&text).unwrap().peers.is_empty());
    text.as_object_mut().unwrap().remove("peers");
    assert!(parse(&text).unwrap().peers.is_empty());
}

#[test]
fn this_node_among_the_peers_is_passed_over_whatever_is_said_of_it() {
    let fleet = fleet(node4(1), vec![node4(1), with(1, "podCIDRs", json!(5)), node4(2)]);
    assert_eq!(names(&fleet), ["n2"]);
    assert!(fleet.faults.is_empty());
}

#[test]
fn what_makes_a_whole_file_useless_is_an_error_that_says_how_to_mend_it() {
    for (text, code, said) in [
        (
            "",
            6,
            "peersFile /run/pods.json is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        ("{\"version\": 1, \"peers\": [", 6, "is not JSON: EOF while parsing"),
        ("[]", 6, "peersFile /run/pods.json: must be an object, not a list"),
        ("null", 7, "peersFile /run/pods.json: version is missing: it must be 1"),
        ("{}", 7, "peersFile /run/pods.json: version is missing: it must be 1"),
    ] {
        let error = Fleet::parse(text.as_bytes(), WHAT).unwrap_err();
        assert_eq!(error.code.0, code, "{text}");
        assert!(error.msg.contains(said), "{}", error.msg);
    }
    let broken = |key: &str, value: Value| {
        let mut file = file(node4(1), vec![node4(2)]);
        file[key] = value;
        error(&file)
    };
    let is = |code: u32, msg: &str| (code, msg.to_owned());
    assert_eq!(broken("version", json!(2)), is(7, "version 2: only version 1 is known"));
    assert_eq!(
        broken("version", json!("1")),
        is(6, "version \"1\": must be a number, not a string")
    );
    assert_eq!(
        broken("clusterCIDRs", json!([])),
        is(7, "clusterCIDRs is missing: give at least one, as in 10.244.0.0/16")
    );
    assert_eq!(
        broken("clusterCIDRs", json!(["10.244.0.1/16"])),
        is(7, "clusterCIDRs 10.244.0.1/16: host bits are set; write 10.244.0.0/16")
    );
    assert_eq!(
        broken("clusterCIDRs", json!(["10.244.0.0/16", "fd00::/129"])),
        is(
            7,
            "clusterCIDRs[1] \"fd00::/129\": must be an address with a prefix length, as in 10.1.2.3/24"
        )
    );
    assert_eq!(
        broken("clusterCIDRs", json!("10.244.0.0/16")),
        is(6, "clusterCIDRs \"10.244.0.0/16\": must be a list, not a string")
    );
    assert_eq!(
        broken("local", Value::Null),
        is(7, "local is missing: it tells which of the nodes this one is")
    );
    assert_eq!(
        broken("local", json!("n1")),
        is(6, "local \"n1\": must be an object, not a string")
    );
    assert_eq!(broken("peers", json!({})), is(6, "peers: must be a list, not an object"));
    let local = |key: &str, value: Value| broken("local", with(1, key, value));
    assert_eq!(local("name", json!("")), is(7, "local.name is missing: give each node one"));
    assert_eq!(
        local("podCIDRs", json!([])),
        is(7, "local.podCIDRs is missing: give at least one, as in 10.244.2.0/24")
    );
    assert_eq!(
        local("podCIDRs", json!(["10.245.1.0/24"])),
        is(7, "local.podCIDRs 10.245.1.0/24: outside clusterCIDRs 10.244.0.0/16, fd00:244::/32")
    );
    assert_eq!(
        local("nodeIPs", json!(["192.168.2.1/24"])),
        is(
            7,
            "local.nodeIPs[0] \"192.168.2.1/24\": must be an address without a prefix length, as in 192.168.2.1"
        )
    );
    assert_eq!(
        local("nodeIPs", json!(["fd00:2::1"])),
        is(7, "local.podCIDRs 10.244.1.0/24: there is no IPv4 address in nodeIPs to reach it by")
    );
    assert_eq!(
        local("vtepMAC", json!("66:00")),
        is(7, "local.vtepMAC \"66:00\": not six hexadecimal bytes")
    );
    assert_eq!(
        local("nodeIPs", json!(["127.0.0.1", "10.0.0.1"])),
        is(
            7,
            "local.nodeIPs 127.0.0.1: a loopback address cannot be reached from other nodes; local.nodeIPs 127.0.0.1 and 10.0.0.1: give at most one address of each family"
        )
    );
}

#[test]
fn what_is_wrong_with_a_peer_in_itself_is_its_own_fault() {
    for (key, value, said) in [
        (
            "podCIDRs",
            json!(["10.244.2.0"]),
            "podCIDRs[0] \"10.244.2.0\": must be an address with a prefix length, as in 10.1.2.3/24",
        ),
        ("podCIDRs", json!(["10.244.2.0/24", 5]), "podCIDRs[1] 5: must be a string, not a number"),
        (
            "podCIDRs",
            json!(["10.244.2.1/24"]),
            "podCIDRs 10.244.2.1/24: host bits are set; write 10.244.2.0/24",
        ),
        (
            "podCIDRs",
            json!(["10.0.0.0/8"]),
            "podCIDRs 10.0.0.0/8: outside clusterCIDRs 10.244.0.0/16, fd00:244::/32",
        ),
        ("podCIDRs", json!([]), "podCIDRs is missing: give at least one, as in 10.244.2.0/24"),
        (
            "podCIDRs",
            json!(["10.244.2.128/25", "10.244.2.0/24"]),
            "podCIDRs 10.244.2.0/24 and 10.244.2.128/25 overlap",
        ),
        (
            "podCIDRs",
            json!(["10.244.2.0/24", "10.244.2.0/24"]),
            "podCIDRs 10.244.2.0/24 and 10.244.2.0/24 overlap",
        ),
        (
            "nodeIPs",
            json!([]),
            "podCIDRs 10.244.2.0/24: there is no IPv4 address in nodeIPs to reach it by",
        ),
        (
            "nodeIPs",
            json!(["192.168.2.2", "192.168.2.22"]),
            "nodeIPs 192.168.2.2 and 192.168.2.22: give at most one address of each family",
        ),
        (
            "nodeIPs",
            json!(["0.0.0.0"]),
            "nodeIPs 0.0.0.0: the unspecified address cannot be reached from other nodes",
        ),
        (
            "nodeIPs",
            json!(["224.0.0.1"]),
            "nodeIPs 224.0.0.1: a multicast address cannot be reached from other nodes",
        ),
        (
            "nodeIPs",
            json!(["192.168.2.2", "fe80::2"]),
            "nodeIPs fe80::2: a link-local address cannot be reached from other nodes",
        ),
        (
            "nodeIPs",
            json!(["10.244.2.2"]),
            "nodeIPs 10.244.2.2 lies in podCIDRs 10.244.2.0/24: a node's own address must not",
        ),
        (
            "vtepMAC",
            json!("zz:0a:1b:2c:3d:4e"),
            "vtepMAC \"zz:0a:1b:2c:3d:4e\": not six hexadecimal bytes",
        ),
        (
            "vtepMACv6",
            json!("01:0a:1b:2c:3d:4e"),
            "vtepMACv6 \"01:0a:1b:2c:3d:4e\": a multicast address cannot be an interface's own",
        ),
    ] {
        assert_eq!(faults(with(2, key, value)), [format!("peer n2: {said}")]);
    }
}

#[test]
fn a_peer_without_a_usable_name_is_named_by_its_place() {
    for (name, said) in [
        (Value::Null, "name is missing: give each node one".to_owned()),
        (json!("n\n2"), "name \"n\\n2\": control characters are not allowed".to_owned()),
        (json!("n".repeat(254)), "name of 254 bytes: at most 253 are allowed".to_owned()),
        (json!(2), "name 2: must be a string, not a number".to_owned()),
    ] {
        assert_eq!(faults(with(2, "name", name)), [format!("peer peers[0]: {said}")]);
    }
    assert_eq!(faults(json!(5)), ["peer peers[0]: must be an object, not a number"]);
    let longest = fleet(node4(1), vec![with(2, "name", json!("ü".repeat(126)))]);
    assert_eq!(longest.peers.len(), 1);
}

#[test]
fn a_peer_that_shares_something_with_this_node_is_left_out() {
    for (key, value, said) in [
        (
            "podCIDRs",
            json!(["10.244.1.128/25"]),
            "podCIDRs 10.244.1.128/25: overlaps 10.244.1.0/24 of this node",
        ),
        (
            "podCIDRs",
            json!(["10.244.0.0/23"]),
            "podCIDRs 10.244.0.0/23: overlaps 10.244.1.0/24 of this node",
        ),
        ("nodeIPs", json!(["192.168.2.1"]), "nodeIPs 192.168.2.1: this node has that address too"),
        (
            "nodeIPs",
            json!(["10.244.1.2"]),
            "nodeIPs 10.244.1.2: lies in podCIDRs 10.244.1.0/24 of this node",
        ),
        (
            "vtepMAC",
            json!("66:67:6b:8b:b8:4c"),
            "vtepMAC 66:67:6b:8b:b8:4c: this node has that address too",
        ),
    ] {
        assert_eq!(faults(with(2, key, value)), [format!("peer n2: {said}")]);
    }
}

#[test]
fn of_two_peers_that_share_something_the_first_in_the_list_is_served() {
    for (key, value, said) in [
        (
            "podCIDRs",
            json!(["10.244.3.0/25"]),
            "podCIDRs 10.244.3.0/25: overlaps 10.244.3.0/24 of peer n3",
        ),
        (
            "podCIDRs",
            json!(["10.244.2.0/23"]),
            "podCIDRs 10.244.2.0/23: overlaps 10.244.3.0/24 of peer n3",
        ),
        ("nodeIPs", json!(["192.168.2.3"]), "nodeIPs 192.168.2.3: peer n3 has that address too"),
        (
            "nodeIPs",
            json!(["10.244.3.2"]),
            "nodeIPs 10.244.3.2: lies in podCIDRs 10.244.3.0/24 of peer n3",
        ),
        (
            "name",
            json!("n3"),
            "name \"n3\": the peer of that name with podCIDRs 10.244.3.0/24 is served; give each node a name of its own",
        ),
    ] {
        let name = if key == "name" { "n3" } else { "n4" };
        let fleet = fleet(node4(1), vec![node4(3), with(4, key, value)]);
        assert_eq!(names(&fleet), ["n3"]);
        assert_eq!(shown(&fleet.faults), [format!("peer {name}: {said}")]);
    }
    let around = fleet(node4(1), vec![with(3, "nodeIPs", json!(["10.244.4.4"])), node4(4)]);
    assert_eq!(names(&around), ["n3"]);
    assert_eq!(
        shown(&around.faults),
        ["peer n4: podCIDRs 10.244.4.0/24: holds 10.244.4.4, the node address of peer n3"]
    );
}

#[test]
fn who_comes_last_pushes_nobody_out_whatever_its_name() {
    for name in ["a-new", "z-new"] {
        let mut new = with(9, "podCIDRs", json!(["10.244.2.0/24"]));
        new["name"] = json!(name);
        let around = fleet(node4(1), vec![node4(3), node4(2), new.clone()]);
        assert_eq!(names(&around), ["n2", "n3"]);
        let said = "podCIDRs 10.244.2.0/24: overlaps 10.244.2.0/24 of peer n2";
        assert_eq!(shown(&around.faults), [format!("peer {name}: {said}")]);
        let first = fleet(node4(1), vec![new, node4(3), node4(2)]);
        assert!(!names(&first).contains(&"n2"), "{first:?}");
    }
}

#[test]
fn hardware_addresses_are_compared_within_a_family_in_use() {
    let with_macs = |mut node: Value, v4: &str, v6: &str| {
        node["vtepMAC"] = json!(v4);
        node["vtepMACv6"] = json!(v6);
        node
    };
    let (a, b) = ("66:00:00:00:00:0a", "66:00:00:00:00:0b");
    let crossed = fleet(node(1), vec![with_macs(node(2), a, b), with_macs(node(3), b, a)]);
    assert!(crossed.faults.is_empty(), "{:?}", crossed.faults);
    let unused = fleet(node4(1), vec![with_macs(node4(2), a, b), with_macs(node4(3), b, b)]);
    assert!(unused.faults.is_empty(), "{:?}", unused.faults);
    let same = fleet(node(1), vec![with_macs(node(2), a, b), with_macs(node(3), "", b)]);
    assert_eq!(
        shown(&same.faults),
        [format!("peer n3: vtepMACv6 {b}: peer n2 has that address too")]
    );
}

#[test]
fn only_who_is_served_takes_something_from_others() {
    // n2 takes n3's network away; n3 would have taken n4's.
    let peers = vec![
        node4(2),
        with(3, "podCIDRs", json!(["10.244.2.128/25", "10.244.3.0/24"])),
        with(4, "podCIDRs", json!(["10.244.3.128/25"])),
    ];
    let fleet = fleet(node4(1), peers);
    assert_eq!(names(&fleet), ["n2", "n4"]);
    assert_eq!(
        shown(&fleet.faults),
        ["peer n3: podCIDRs 10.244.2.128/25: overlaps 10.244.2.0/24 of peer n2"]
    );
}

#[test]
fn a_family_without_pods_on_this_node_is_left_out_and_the_other_served() {
    let mixed = fleet(node4(1), vec![node(2)]);
    assert_eq!(mixed.peers[0].pod_cidrs, [net("10.244.2.0/24")]);
    let said = "podCIDRs fd00:244:2::/64: this node has no IPv6 pods; add an IPv6 network to local.podCIDRs";
    assert_eq!(shown(&mixed.faults), [format!("peer n2: {said}")]);
    let only = with(2, "podCIDRs", json!(["fd00:244:2::/64"]));
    assert_eq!(faults(only), [format!("peer n2: {said}")]);
}

#[test]
fn a_configuration_needs_no_version_for_its_peers() {
    let mut text = file(node(1), vec![node(2)]);
    text.as_object_mut().unwrap().remove("version");
    let tree = cni::Json::parse(text.to_string().as_bytes(), "conf").unwrap();
    assert_eq!(names(&Fleet::of(&tree, "the network configuration").unwrap()), ["n2"]);
}
