//! `macvlan`: a hardware address of its own on the parent's network, judged by `ip` and traffic.

use serde_json::{Value, json};
use testkit::{Node, OUTSIDE_V4, OUTSIDE_V6, Pod, need, ping, silent, tcp};

use crate::conf::{DUAL, single, with};

/// A node whose uplink `up0` the pods share with the machine outside.
fn lan(node: &Node) -> Value {
    let addresses = json!([
        {"address": "192.0.2.10/24", "gateway": OUTSIDE_V4},
        {"address": "2001:db8:ffff::10/64", "gateway": OUTSIDE_V6},
    ]);
    json!({
        "cniVersion": "1.1.0", "name": "net", "type": "macvlan", "master": "up0",
        "stateDir": node.directory().join("links"),
        "ipam": {"type": "static", "addresses": addresses},
    })
}

fn numbered(mut conf: Value, n: u32) -> Value {
    conf["ipam"]["addresses"] = json!([
        {"address": format!("192.0.2.{n}/24")}, {"address": format!("2001:db8:ffff::{n}/64")},
    ]);
    conf
}

#[test]
fn pods_are_on_the_parents_network_and_reach_each_other() {
    need!(Macvlan);
    let node = Node::new();
    let outside = node.outside();
    let pods = [node.pod(), node.pod()];
    let attached = [
        node.attach(&numbered(lan(&node), 10), &pods[0]),
        node.attach(&numbered(lan(&node), 11), &pods[1]),
    ];
    for (at, to) in [(0, OUTSIDE_V4), (1, OUTSIDE_V6)] {
        let [own, other] = [0, 1].map(|pod: usize| attached[pod].ips()[at].clone());
        assert_eq!(tcp(&pods[0], &outside, to).unwrap().to_string(), own);
        assert_eq!(tcp(&outside, &pods[0], &own).unwrap().to_string(), to);
        assert_eq!(tcp(&pods[0], &pods[1], &other).unwrap().to_string(), own);
    }
}

#[test]
fn modes_are_what_they_are_called() {
    need!(Macvlan);
    for mode in ["bridge", "private", "vepa", "passthru"] {
        let node = Node::new();
        let _outside = node.outside();
        let (pod, other) = (node.pod(), node.pod());
        let conf = with(lan(&node), json!({"mode": mode}));
        let attached = node.attach(&conf, &pod);
        let shown = pod.link("eth0").unwrap()["linkinfo"]["info_data"]["mode"].clone();
        assert_eq!(shown, mode);
        node.check(&attached).ok();
        assert!(ping(&pod, OUTSIDE_V4), "{mode}");
        let second = node.add(&numbered(conf, 11), &other, "eth0");
        match mode {
            "bridge" => assert!(second.succeeded() && ping(&other, "192.0.2.10")),
            "passthru" => {
                second.fails().is(100, &["up0"]);
                assert_eq!(
                    pod.link("eth0").unwrap()["address"],
                    node.link("up0").unwrap()["address"]
                );
            }
            _ => assert!(second.succeeded() && silent(&other, "192.0.2.10"), "{mode}"),
        }
        // Another mode than the one it has.
        let mut changed = attached.clone();
        changed.conf["mode"] = json!(if mode == "vepa" { "private" } else { "vepa" });
        node.check(&changed).fails().is(103, &["mode", mode]);
    }
}

#[test]
fn the_broadcast_queue_is_as_long_as_it_is_asked_for() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, "macvlan", DUAL), json!({"bcqueuelen": 200}));
    let attached = node.attach(&conf, &pod);
    assert!(pod.run(&["ip", "-d", "link", "show", "dev", "eth0"]).contains("bcqueuelen 200 "));
    node.check(&attached).ok();
    let mut changed = attached;
    changed.conf["bcqueuelen"] = json!(201);
    node.check(&changed).fails().is(103, &["bcqueuelen", "200", "201"]);
}

#[test]
fn the_default_routes_interface_is_the_parent_when_none_is_named() {
    need!(Macvlan);
    for gateway in [&["-4", OUTSIDE_V4], &["-6", OUTSIDE_V6]] {
        let (node, pod) = (Node::new(), Pod::new());
        let _outside = node.outside();
        let mut conf = lan(&node);
        conf.as_object_mut().unwrap().remove("master");
        node.status(&conf).fails().is(50, &["master", "default route"]);
        node.add(&conf, &pod, "eth0").fails().is(7, &["master", "default route"]);
        node.run(&["ip", gateway[0], "route", "add", "default", "via", gateway[1]]);
        // More specific routes, even two that cover all, are not it.
        if gateway[0] == "-4" {
            node.batch("link add t0 type veth peer name t1\nlink set t0 up\nlink set t1 up\n");
            node.run(&["ip", "route", "add", "0.0.0.0/1", "dev", "t0"]);
            node.run(&["ip", "route", "add", "128.0.0.0/1", "dev", "t0"]);
        }
        node.status(&conf).ok();
        let attached = node.attach(&conf, &pod);
        assert_eq!(parent_of(&pod), node.link("up0").unwrap()["ifindex"]);
        node.check(&attached).ok();
        // The default route goes elsewhere, and away: the attachment is as it was made.
        node.run(&["ip", gateway[0], "route", "del", "default"]);
        node.check(&attached).ok();
        node.del(&attached).ok();
        assert_eq!(pod.links(), ["lo"]);
    }
}

fn parent_of(pod: &Pod) -> Value {
    pod.link("eth0").unwrap()["link_index"].clone()
}

#[test]
fn the_parent_may_be_in_the_container() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    pod.batch("link add m0 type veth peer name m1\nlink set m0 up\nlink set m1 up\n");
    let conf = with(single(&node, "macvlan", DUAL), json!({"linkInContainer": true}));
    node.run(&["ip", "link", "del", "m0"]);
    node.status(&conf).ok();
    let attached = node.attach(&conf, &pod);
    assert_eq!(pod.link("eth0").unwrap()["link"], "m0");
    node.check(&attached).ok();
    let mut changed = attached.clone();
    changed.conf["linkInContainer"] = json!(false);
    node.check(&changed).fails().is(103, &["master", "container"]);
    node.del(&attached).ok();
    assert_eq!(pod.links(), ["lo", "m1", "m0"]);
    // The default route's, there.
    let mut conf = conf;
    conf.as_object_mut().unwrap().remove("master");
    node.add(&conf, &pod, "eth0").fails().is(7, &["master", "in the container"]);
    pod.run(&["ip", "route", "add", "default", "dev", "m0"]);
    node.check(&node.attach(&conf, &pod)).ok();
    assert_eq!(pod.link("eth0").unwrap()["link"], "m0");
}

/// The kernel makes it upon that one's own master, wherever that is.
#[test]
fn the_parent_may_be_a_macvlan_itself() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, "macvlan", DUAL);
    node.batch("link add mv0 link m0 type macvlan mode bridge\nlink set mv0 up\n");
    let first = node.attach(&with(conf.clone(), json!({"master": "mv0"})), &pod);
    node.check(&first).ok();
    let within = with(conf, json!({"name": "within", "master": "eth0", "linkInContainer": true}));
    let second = node.attach_as(&within, &pod, "net1");
    node.check(&second).ok();
    // Of the default route's interface nobody remembers what it was.
    let mut unnamed = second.clone();
    unnamed.conf.as_object_mut().unwrap().remove("master");
    node.check(&unnamed).ok();
    // One upon another parent is not the one that was made.
    node.batch(
        "link add other0 type veth peer name other1\nlink del mv0\n\
         link add mv0 link other0 type macvlan mode bridge\n",
    );
    node.check(&first).fails().is(103, &["eth0", "mv0", "master"]);
    node.del(&second).ok();
    node.del(&first).ok();
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn an_address_that_passthru_cannot_have_is_named() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, "macvlan", DUAL), json!({"mode": "passthru"}));
    node.del(&node.attach(&conf, &pod)).ok();
    let own = node.link("m0").unwrap()["address"].as_str().unwrap().to_owned();
    let before = node.snapshot();
    let other = "02:00:00:00:00:07";
    let error = node.add(&with(conf.clone(), json!({"mac": other})), &pod, "eth0").fails();
    error.is(7, &["mac", other, "passthru", &own]);
    before.assert_same(&node.snapshot());
    assert_eq!(pod.links(), ["lo"]);
    node.check(&node.attach(&with(conf, json!({"mac": own})), &pod)).ok();
}

#[test]
fn a_master_whose_mtu_is_too_small_for_the_addresses_is_named() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, "macvlan", DUAL);
    node.run(&["ip", "link", "set", "m0", "mtu", "1200"]);
    node.add(&conf, &pod, "eth0").fails().is(7, &["mtu", "1200", "fd00:1::2", "1280"]);
    assert_eq!((pod.links(), node.leased("net")), (vec!["lo".to_owned()], vec![]));
}

#[test]
fn the_hardware_address_is_the_runtimes_before_the_arguments_before_the_configurations() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = with(single(&node, "macvlan", DUAL), json!({"mac": "02:00:00:00:00:01"}));
    let runtime = with(conf.clone(), json!({"runtimeConfig": {"mac": "02:00:00:00:00:03"}}));
    let args = "IgnoreUnknown=1;MAC=02:00:00:00:00:02";
    for (conf, args, want) in
        [(&conf, "", 1), (&conf, args, 2), (&runtime, args, 3), (&runtime, "", 3)]
    {
        let output = node.add_call(conf, &pod, "eth0").args(args).run();
        let attached = node.attached(conf, &pod, "eth0", &output);
        let want = format!("02:00:00:00:00:{want:02}");
        assert_eq!(pod.link("eth0").unwrap()["address"], want);
        assert_eq!(attached.result["interfaces"][0]["mac"], want);
        node.check(&attached).ok();
        node.del(&attached).ok();
    }
    for args in ["IP=10.1.0.9", "MAC=02:00:00:00:00:02", "IgnoreUnknown=1;MAC=03:00:00:00:00:02"] {
        let error = node.add_call(&conf, &pod, "eth0").args(args).run().fails();
        assert!(matches!(error.code, 4 | 7), "{args}: {error}");
        assert_eq!(pod.links(), ["lo"]);
    }
}

#[test]
fn neighbours_hear_of_the_new_owner_of_an_address() {
    need!(Macvlan);
    let node = Node::new();
    let outside = node.outside();
    let (old, new) = (node.pod(), node.pod());
    let first = node.attach(&lan(&node), &old);
    assert!(ping(&outside, "192.0.2.10") && ping(&outside, "2001:db8:ffff::10"));
    node.del(&first).ok();
    let second = node.attach(&lan(&node), &new);
    let mac = second.result["interfaces"][0]["mac"].as_str().unwrap();
    let start = std::time::Instant::now();
    for ip in ["192.0.2.10", "2001:db8:ffff::10"] {
        let knows = || outside.run(&["ip", "neigh", "show", ip]).contains(mac);
        while !knows() {
            assert!(start.elapsed().as_secs() < 20, "{}", outside.run(&["ip", "neigh"]));
        }
    }
}

#[test]
fn duplicates_are_looked_for_when_that_is_asked() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let _outside = node.outside();
    let mut conf = with(lan(&node), json!({"enabledad": true}));
    node.del(&node.attach(&conf, &pod)).ok();
    conf["ipam"]["addresses"] = json!([{"address": format!("{OUTSIDE_V6}/64")}]);
    node.add(&conf, &pod, "eth0").fails().is(101, &[OUTSIDE_V6]);
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn a_parent_that_is_taken_is_named() {
    need!(Macvlan);
    let (node, pod) = (Node::new(), Pod::new());
    let conf = single(&node, "macvlan", DUAL);
    node.batch("link add br0 type bridge\nlink set m0 master br0\n");
    node.add(&conf, &pod, "eth0").fails().is(101, &["m0", "port"]);
    assert_eq!(pod.links(), ["lo"]);
    node.add(&with(conf, json!({"master": "lo"})), &pod, "eth0")
        .fails()
        .is(100, &["lo", "Ethernet"]);
}

#[test]
fn status_names_the_parent_that_is_missing() {
    need!(Macvlan);
    let node = Node::new();
    let conf = single(&node, "macvlan", DUAL);
    node.status(&conf).ok();
    node.status(&with(conf.clone(), json!({"mtu": 9000}))).fails().is(50, &["mtu", "9000", "m0"]);
    node.run(&["ip", "link", "del", "m0"]);
    node.status(&conf).fails().is(50, &["master", "m0"]);
    node.status(&with(conf, json!({"mode": "x"}))).fails().is(7, &["mode"]);
}
