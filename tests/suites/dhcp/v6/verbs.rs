//! From ADD to DEL.

use serde_json::json;
use testkit::{Pod, VERSIONS, ping};

use crate::agent::ground::until;
use crate::conf::with;
use crate::dhcp::ground::{Ground, SERVER, SERVER6, has, tells};

/// A range of both families; the second is an option of its own.
const RANGE: &str = "10.5.0.50,10.5.0.99,2m";
const RANGE6: &str = "fd00:5::10,fd00:5::99,64,120";

#[test]
fn every_version_is_served_both_families_from_add_to_del() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let server = ground.dnsmasq(RANGE6, &["--enable-ra", &format!("--dhcp-range={RANGE}")]);
    let daemon = ground.daemon();
    for (n, version) in VERSIONS.iter().enumerate() {
        let (node, pod) = (&ground.node, Pod::new());
        let conf = with(ground.conf_of(&["ipv4", "ipv6"]), json!({"cniVersion": version}));
        let attached = node.attach(&conf, &pod);
        let told = attached.addresses();
        assert_eq!(told.len(), 2, "{version}: {}", attached.result);
        assert!(told[0].starts_with("10.5.0.") && told[0].ends_with("/24"), "{told:?}");
        assert!(told[1].starts_with("fd00:5::") && told[1].ends_with("/128"), "{told:?}");
        assert_eq!(pod.addresses("eth0"), told, "{version}");
        assert!(ping(&pod, SERVER), "{version}");
        assert_eq!(ground.leases().len(), 2);
        if *version >= "0.4.0" {
            node.check(&attached).ok();
        }
        if *version >= "1.1.0" {
            node.status(&conf).ok();
            node.gc(&conf, &[&attached]).ok();
            node.check(&attached).ok();
        }
        node.del(&attached).ok();
        tells(&server, "DHCPRELEASE(", 2 * n + 1);
        assert!(ground.leases().is_empty(), "{version}: {}", daemon.log());
        assert_eq!(node.links(), ["lo", "br0", "up0"], "{version}");
        node.del(&attached).ok();
        node.del(&node.unheard(&conf, &Pod::new())).ok();
    }
}

#[test]
fn the_way_to_others_is_the_routers_to_tell() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    ground.outside.set_sysctl("net/ipv6/conf/all/forwarding", "1");
    ground.outside.batch("link set lo up\naddr add fd00:99::1/128 dev lo\n");
    let options = [
        "--enable-ra",
        "--dhcp-option=option6:dns-server,[fd00:5::53],[fd00:5::54]",
        "--dhcp-option=option6:domain-search,c.example,d.example",
    ];
    let _server = ground.dnsmasq(RANGE6, &options);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    let [ip] = attached.result["ips"].as_array().unwrap().as_slice() else {
        panic!("{}", attached.result)
    };
    assert!(ip["gateway"].is_null() && attached.result["routes"].is_null(), "{ip}");
    assert_eq!(
        attached.result["dns"],
        json!({"nameservers": ["fd00:5::53", "fd00:5::54"], "search": ["c.example", "d.example"]})
    );
    assert_eq!(pod.addresses("eth0"), attached.addresses());
    assert_eq!(pod.sysctl("net/ipv6/conf/eth0/accept_ra"), "1");
    until("the router's routes", || {
        let routes = pod.routes("-6", "main");
        let has = |dst: &str| routes.iter().any(|r| r["dst"] == dst && r["protocol"] == "ra");
        if has("default") && routes.iter().any(|r| r["dst"] == "fd00:5::/64") {
            Ok(())
        } else {
            Err(routes)
        }
    });
    assert!(ping(&pod, SERVER6) && ping(&pod, "fd00:99::1"));
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert!(ground.leases().is_empty());
}

#[test]
fn the_resolvers_of_both_families_are_in_the_result() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let options = [
        &format!("--dhcp-range={RANGE}"),
        "--dhcp-option=option:dns-server,10.5.0.53",
        "--dhcp-option=option:domain-name,c.example",
        "--dhcp-option=option:domain-search,a.example,b.example",
        "--dhcp-option=option6:dns-server,[fd00:5::53]",
        "--dhcp-option=option6:domain-search,b.example,d.example",
    ];
    let _server = ground.dnsmasq(RANGE6, &options);
    let _daemon = ground.daemon();
    let (pods, both) = ([Pod::new(), Pod::new()], ["10.5.0.53", "fd00:5::53"]);
    for (pod, (families, order)) in
        pods.iter().zip([(["ipv4", "ipv6"], both), (["ipv6", "ipv4"], [both[1], both[0]])])
    {
        let attached = ground.node.attach(&ground.conf_of(&families), pod);
        assert_eq!(attached.result["dns"]["nameservers"], json!(order));
        assert_eq!(attached.result["dns"]["domain"], "c.example");
        let search = attached.result["dns"]["search"].as_array().unwrap();
        assert_eq!(search.len(), 3, "{search:?}");
    }
}

#[test]
fn a_macvlan_has_leases_of_both_families() {
    testkit::need!(DhcpServer, Macvlan);
    let ground = Ground::with_ipv6();
    let server = ground.dnsmasq(RANGE6, &["--enable-ra", &format!("--dhcp-range={RANGE}")]);
    let _daemon = ground.daemon();
    let more = json!({"type": "macvlan", "master": "br0", "stateDir": ground.file("links")});
    let conf = with(ground.conf_of(&["ipv4", "ipv6"]), more);
    let (node, pods) = (&ground.node, [Pod::new(), Pod::new()]);
    let attached = [node.attach(&conf, &pods[0]), node.attach(&conf, &pods[1])];
    assert_ne!(attached[0].ips()[1], attached[1].ips()[1]);
    for (n, (pod, attached)) in pods.iter().zip(&attached).enumerate() {
        has(pod, &attached.addresses().iter().map(String::as_str).collect::<Vec<_>>());
        until("the routers have told", || {
            let routes = pod.routes("-6", "main");
            if routes.iter().any(|r| r["dst"] == "default") { Ok(()) } else { Err(routes) }
        });
        assert!(ping(pod, SERVER) && ping(pod, SERVER6));
        node.check(attached).ok();
        node.del(attached).ok();
        tells(&server, "DHCPRELEASE(", 2 * n + 1);
        assert_eq!(pod.links(), ["lo"]);
    }
    assert!(ground.leases().is_empty());
}

#[test]
fn gc_gives_back_both_families_of_what_is_not_listed() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let server = ground.dnsmasq(RANGE6, &[&format!("--dhcp-range={RANGE}")]);
    let _daemon = ground.daemon();
    let (node, conf) = (&ground.node, ground.conf_of(&["ipv6", "ipv4"]));
    let pods = [Pod::new(), Pod::new()];
    let [kept, _stale] = [0, 1].map(|n| node.attach(&conf, &pods[n]));
    node.gc(&conf, &[&kept]).ok();
    tells(&server, "DHCPRELEASE(", 1);
    node.check(&kept).ok();
    assert_eq!(ground.leases().len(), 2);
    assert_eq!(pods[1].links(), ["lo"]);
}

#[test]
fn check_looks_at_the_families_of_the_configuration() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let _server = ground.dnsmasq(RANGE6, &[&format!("--dhcp-range={RANGE}")]);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let mut attached = node.attach(&ground.conf_of(&["ipv4", "ipv6"]), &pod);
    let real = attached.addresses()[1].clone();
    attached.result["ips"][1]["address"] = json!("fd00:5::9/128");
    node.check(&attached).fails().is(103, &[&real, "fd00:5::9/128"]);
    attached.conf["ipam"].as_object_mut().unwrap().remove("families");
    let ipam = with(attached.conf.clone(), json!({"type": "dhcp"}));
    node.check(&testkit::Attachment { conf: ipam, ..attached.clone() }).ok();
    // DEL has both, whatever the configuration names now.
    node.del(&attached).ok();
    assert!(ground.leases().is_empty());
    let gone = with(ground.conf_of(&["ipv6"]), json!({"type": "dhcp"}));
    let gone = testkit::Attachment { conf: gone, ..attached };
    node.check(&gone).fails().is(103, &["no lease", "IPv6"]);
}

#[test]
fn a_family_that_cannot_be_had_fails_the_add_and_the_other_is_given_back() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let server = ground.dnsmasq(RANGE, &[]);
    let daemon = ground.daemon_with(&ground.socket(), &["-resendtimeout", "1500ms"]);
    let (node, pod) = (&ground.node, Pod::new());
    let before = node.snapshot();
    let conf = ground.conf_of(&["ipv4", "ipv6"]);
    let error = node.add(&conf, &pod, "eth0").fails();
    error.is(11, &["ipam.families, IPv6", "no DHCPv6 lease", "1.5 seconds", "no server"]);
    tells(&server, "DHCPRELEASE(", 0);
    assert_eq!(pod.links(), ["lo"]);
    assert!(ground.leases().is_empty(), "{}", daemon.log());
    drop(server);
    // The other way round.
    let server = ground.dnsmasq(RANGE6, &[]);
    let error = node.add(&conf, &pod, "eth0").fails();
    error.is(11, &["ipam.families, IPv4", "no DHCP lease"]);
    tells(&server, "DHCPRELEASE(", 1);
    assert!(before.difference(&node.snapshot()).is_empty(), "{}", daemon.log());
}

#[test]
fn an_interface_that_can_have_no_ipv6_is_named() {
    let ground = Ground::with_ipv6();
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let conf = with(ground.conf_of(&["ipv6"]), json!({"mtu": 1000}));
    node.add(&conf, &pod, "eth0").fails().is(7, &["ipam.families", "eth0 has no IPv6", "1280"]);
    assert_eq!(pod.links(), ["lo"]);
}

#[test]
fn an_interface_on_which_ipv6_is_off_gets_a_lease_all_the_same() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let _server = ground.dnsmasq(RANGE6, &[]);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    pod.set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    pod.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    assert_eq!(pod.addresses("eth0"), attached.addresses());
    node.check(&attached).ok();
    node.del(&attached).ok();
}
