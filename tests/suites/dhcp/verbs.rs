//! From ADD to DEL.

use std::process::Command;

use serde_json::json;
use testkit::{Pod, VERSIONS, ping};

use super::ground::{Ground, SERVER, tells};
use crate::agent::ground::until;
use crate::conf::with;

#[test]
fn every_version_is_served_from_add_to_del() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    for (n, version) in VERSIONS.iter().enumerate() {
        let (node, pod) = (&ground.node, Pod::new());
        let conf = with(ground.conf(), json!({"cniVersion": version}));
        let attached = node.attach(&conf, &pod);
        assert_eq!(pod.addresses("eth0"), attached.addresses(), "{version}");
        assert!(attached.ip().starts_with("10.5.0."), "{version}");
        assert!(ping(&pod, SERVER), "{version}");
        let default = &pod.routes("-4", "main")[0];
        assert_eq!((&default["dst"], &default["gateway"]), (&json!("default"), &json!(SERVER)));
        if *version >= "0.4.0" {
            node.check(&attached).ok();
        }
        if *version >= "1.1.0" {
            node.status(&conf).ok();
            node.gc(&conf, &[&attached]).ok();
            node.check(&attached).ok();
        }
        assert_eq!(ground.leases().len(), 1);
        node.del(&attached).ok();
        tells(&server, "DHCPRELEASE", n);
        assert!(ground.leases().is_empty(), "{version}");
        assert_eq!(node.links(), ["lo", "br0", "up0"], "{version}");
        // Twice, and of one that never was.
        node.del(&attached).ok();
        node.del(&node.unheard(&conf, &Pod::new())).ok();
    }
}

#[test]
fn a_bridge_that_guards_and_masquerades_lets_its_containers_ask() {
    testkit::need!(DhcpServer, Nft);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let more = json!({"macspoofchk": true, "ipMasq": true, "isDefaultGateway": false});
    let (node, pod) = (&ground.node, Pod::new());
    let before = node.snapshot();
    let attached = node.attach(&with(ground.conf(), more), &pod);
    assert!(ping(&pod, SERVER));
    node.check(&attached).ok();
    node.del(&attached).ok();
    for section in ["links", "addresses", "routes", "nft"] {
        assert_eq!(before.section(section), node.snapshot().section(section), "{section}");
    }
}

#[test]
fn status_tells_whether_the_daemon_lives_and_del_needs_none() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let (node, conf) = (&ground.node, ground.conf());
    let pod = Pod::new();
    let socket = ground.socket();
    let socket = socket.to_str().unwrap();
    node.status(&conf).fails().is(50, &[socket, "dhcp daemon"]);
    node.add(&conf, &pod, "eth0").fails().is(11, &[socket, "dhcp daemon"]);
    assert_eq!(pod.links(), ["lo"]);
    let mut daemon = ground.daemon();
    node.status(&conf).ok();
    let attached = node.attach(&conf, &pod);
    daemon.kill();
    // The socket is still there, and nobody behind it.
    node.status(&conf).fails().is(50, &[socket]);
    node.check(&attached).fails().is(103, &[socket, "dhcp daemon"]);
    let del = node.del(&attached);
    del.ok();
    assert!(del.stderr.contains("left to expire"), "{del}");
    assert_eq!(pod.links(), ["lo"]);
    // A new daemon finds the interface gone and forgets the lease.
    let daemon = ground.daemon();
    tells(&daemon, "is gone", 0);
    assert!(ground.leases().is_empty());
}

#[test]
fn gc_gives_back_what_is_not_listed() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let (node, conf) = (&ground.node, ground.conf());
    let pods = [Pod::new(), Pod::new(), Pod::new()];
    let [kept, stale, other] = [0, 1, 2].map(|n| {
        let name = if n == 2 { "another" } else { "net" };
        node.attach(&with(conf.clone(), json!({"name": name})), &pods[n])
    });
    node.gc(&conf, &[&kept]).ok();
    tells(&server, "DHCPRELEASE", 0);
    node.check(&kept).ok();
    node.check(&other).ok();
    assert_eq!(ground.leases().len(), 2);
    assert_eq!(pods[1].links(), ["lo"]);
    assert_eq!(server.log().matches("DHCPRELEASE").count(), 2 - 1, "{}", server.log());
    drop(stale);
}

#[test]
fn gc_hears_of_thousands_of_attachments() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let (node, pods) = (&ground.node, [Pod::new(), Pod::new()]);
    let [kept, _stale] = [0, 1].map(|n| node.attach(&ground.conf(), &pods[n]));
    let others = (0..5000).map(|n| json!({"containerID": format!("{n:064x}"), "ifname": "eth0"}));
    let mut valid: Vec<_> = others.collect();
    valid.push(json!({"containerID": kept.container, "ifname": "eth0"}));
    let conf = with(ground.conf(), json!({"cni.dev/valid-attachments": valid}));
    node.call("bridge").verb("GC").conf(&conf).run().ok();
    node.check(&kept).ok();
    assert_eq!(ground.leases().len(), 1);
    assert_eq!(pods[1].links(), ["lo"]);
}

#[test]
fn a_daemon_that_hangs_holds_up_no_removal() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf(), &pod);
    let signal = |which: &str| {
        let id = daemon.id().to_string();
        assert!(Command::new("kill").args([which, id.as_str()]).status().unwrap().success());
    };
    signal("-STOP");
    let del = node.del(&attached);
    del.ok();
    assert!(del.stderr.contains("left to expire") && del.stderr.contains("not a word"), "{del}");
    assert_eq!(pod.links(), ["lo"]);
    node.status(&ground.conf()).fails().is(50, &["not a word"]);
    signal("-CONT");
    // It reads what it was told meanwhile.
    until("the lease is forgotten", || match ground.leases().len() {
        0 => Ok(()),
        leases => Err(leases),
    });
    node.status(&ground.conf()).ok();
}

#[test]
fn a_del_finds_its_daemon_whatever_the_other_options_say_now() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    for (key, value) in [("priority", json!("high")), ("provide", json!({})), ("request", json!(1))]
    {
        let mut attached = node.attach(&ground.conf(), &pod);
        attached.conf["ipam"][key] = value;
        let del = node.del(&attached);
        del.ok();
        assert!(!del.stderr.contains("left to expire"), "{key}: {del}");
        assert!(ground.leases().is_empty(), "{key}");
    }
}

#[test]
fn check_says_when_the_lease_is_gone_or_another() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let mut attached = node.attach(&ground.conf(), &pod);
    node.check(&attached).ok();
    let real = attached.addresses()[0].clone();
    attached.result["ips"][0]["address"] = json!("10.5.0.9/24");
    node.check(&attached).fails().is(103, &[&real, "10.5.0.9/24"]);
    attached.result["ips"][0]["address"] = json!(real);
    let ipam = with(ground.conf(), json!({"type": "dhcp"}));
    node.del(&testkit::Attachment { conf: ipam, ..attached.clone() }).ok();
    node.check(&attached).fails().is(103, &["no lease"]);
}

#[test]
fn an_add_without_any_server_says_so_and_leaves_nothing() {
    let ground = Ground::new();
    let socket = ground.socket();
    let daemon = ground.daemon_with(&socket, &["-resendtimeout", "1500ms"]);
    let (node, pod) = (&ground.node, Pod::new());
    let before = node.snapshot();
    let error = node.add(&ground.conf(), &pod, "eth0").fails();
    error.is(11, &["no DHCP lease", "1.5 seconds", "no server has answered"]);
    assert_eq!(pod.links(), ["lo"]);
    assert!(before.difference(&node.snapshot()).is_empty(), "{}", daemon.log());
}

#[test]
fn a_second_add_of_the_same_interface_is_refused_and_takes_nothing_from_the_first() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf(), &pod);
    node.add(&ground.conf(), &pod, "eth0").fails().is(101, &["eth0"]);
    node.check(&attached).ok();
    let other = node.attach_as(&ground.conf(), &pod, "net1");
    assert_ne!(other.ip(), attached.ip());
    assert_eq!(ground.leases().len(), 2);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let ground = Ground::new();
    let _daemon = ground.daemon();
    let conf = with(ground.conf(), json!({"type": "dhcp"}));
    let error = ground.node.add(&conf, &Pod::new(), "eth0").fails();
    error.is(3, &["eth0", "interface"]);
    let mut gone = Pod::new();
    gone.remove();
    ground.node.add(&conf, &gone, "eth0").fails().is(8, &[gone.path()]);
}

#[test]
fn the_protocols_edges_are_those_of_every_plugin() {
    let ground = Ground::new();
    let version = ground.node.call("dhcp").verb("VERSION").run().ok();
    assert_eq!(version["supportedVersions"], json!(VERSIONS));
    let about = ground.node.call("dhcp").run();
    assert!(about.succeeded() && about.stderr.contains("CNI dhcp plugin"), "{about}");
    let conf = with(ground.conf(), json!({"type": "dhcp"}));
    let call = ground.node.call("dhcp").conf(&conf).verb("ADD");
    call.clone().run().fails().is(4, &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]);
    let named = call.pod(&Pod::new()).ifname("eth0");
    named.stdin("{").run().fails().is(6, &["JSON"]);
}

#[test]
fn a_macvlan_has_a_lease_of_its_own() {
    testkit::need!(DhcpServer, Macvlan);
    let ground = Ground::new();
    let server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let more = json!({"type": "macvlan", "master": "br0", "stateDir": ground.file("links")});
    let conf = with(ground.conf(), more);
    let (node, pods) = (&ground.node, [Pod::new(), Pod::new()]);
    let attached = [node.attach(&conf, &pods[0]), node.attach(&conf, &pods[1])];
    assert_ne!(attached[0].ip(), attached[1].ip());
    for (n, (pod, attached)) in pods.iter().zip(&attached).enumerate() {
        assert_eq!(pod.addresses("eth0"), attached.addresses());
        assert!(ping(pod, SERVER));
        node.check(attached).ok();
        node.del(attached).ok();
        tells(&server, "DHCPRELEASE", n);
        assert_eq!(pod.links(), ["lo"]);
    }
    assert!(ground.leases().is_empty());
}
