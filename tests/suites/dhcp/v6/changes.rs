//! Renewal, restarts, and what comes when renewal fails: another server, another address, none.

use serde_json::json;
use testkit::{Pod, ping};

use crate::agent::ground::until;
use crate::dhcp::ground::{DUID, Ground, SERVER6, has, tells};

/// The way to the server, which a router would tell.
fn join(pod: &Pod) {
    pod.run(&["ip", "route", "replace", "fd00:5::/64", "dev", "eth0"]);
}

#[test]
fn a_short_lease_is_renewed_and_the_container_sees_nothing_of_it() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let server = ground.kea6("fd00:5::50 - fd00:5::50", 4, &json!({}));
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    assert_eq!(attached.addresses(), ["fd00:5::50/128"]);
    assert_eq!(attached.result["dns"], json!({"nameservers": ["fd00:5::53"]}));
    join(&pod);
    tells(&server, "DHCP6_LEASE_RENEW", 3);
    assert_eq!(pod.addresses("eth0"), ["fd00:5::50/128"]);
    node.check(&attached).ok();
    assert!(ping(&pod, SERVER6));
    node.del(&attached).ok();
    tells(&server, "DHCP6_RELEASE_NA ", 0);
    assert!(ground.leases().is_empty());
}

#[test]
fn a_server_that_grants_at_once_is_taken_at_its_word() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let server = ground.kea6("fd00:5::50 - fd00:5::50", 40, &json!({"rapid-commit": true}));
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    assert_eq!(pod.addresses("eth0"), ["fd00:5::50/128"]);
    let log = server.log();
    assert!(log.contains("DHCP6_LEASE_ALLOC") && !log.contains("DHCP6_LEASE_ADVERT"), "{log}");
    node.del(&attached).ok();
    tells(&server, "DHCP6_RELEASE_NA ", 0);
}

#[test]
fn a_server_without_addresses_is_named_by_its_own_word() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let _server = ground.kea6("fd00:5::50 - fd00:5::50", 40, &json!({}));
    let socket = ground.socket();
    let _daemon = ground.daemon_with(&socket, &["-resendtimeout", "1500ms"]);
    let (node, pods) = (&ground.node, [Pod::new(), Pod::new()]);
    let conf = ground.conf_of(&["ipv6"]);
    let first = node.attach(&conf, &pods[0]);
    node.add(&conf, &pods[1], "eth0").fails().is(11, &["no DHCPv6 lease", "NoAddrsAvail"]);
    assert_eq!(pods[1].links(), ["lo"]);
    // What is given back, the next one gets.
    node.del(&first).ok();
    let second = node.attach(&conf, &pods[1]);
    assert_eq!(second.addresses(), first.addresses());
}

#[test]
fn when_the_server_is_gone_the_address_goes_and_another_servers_comes_in_its_place() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let mut server = ground.kea6("fd00:5::50 - fd00:5::50", 4, &json!({}));
    let mut daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    join(&pod);
    pod.run(&["ip", "addr", "add", "fd00:77::7/64", "dev", "eth0", "nodad"]);
    server.kill();
    tells(&daemon, "it has expired", 0);
    has(&pod, &["fd00:77::7/64"]);
    node.check(&attached).fails().is(103, &["no lease", "expired"]);
    // One daemon's crash later it is still wanted.
    daemon.kill();
    let daemon = ground.daemon();
    let _server = ground.kea6("fd00:5::77 - fd00:5::77", 40, &json!({}));
    tells(&daemon, "fd00:5::77/128", 0);
    has(&pod, &["fd00:5::77/128", "fd00:77::7/64"]);
    assert!(ping(&pod, SERVER6));
    node.check(&attached).fails().is(103, &["fd00:5::77/128", "fd00:5::50/128"]);
    node.del(&attached).ok();
    assert!(ground.leases().is_empty());
}

#[test]
fn a_server_that_has_forgotten_the_lease_is_asked_for_another_which_replaces_the_first() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let mut server = ground.kea6("fd00:5::50 - fd00:5::50", 12, &json!({}));
    let daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    assert_eq!(attached.addresses(), ["fd00:5::50/128"]);
    join(&pod);
    server.kill();
    // It knows nothing of the lease, and has no such address to give.
    let _server = ground.kea6("fd00:5::90 - fd00:5::90", 40, &json!({}));
    tells(&daemon, "fd00:5::90/128", 0);
    has(&pod, &["fd00:5::90/128"]);
    assert!(ping(&pod, SERVER6));
    node.check(&attached).fails().is(103, &["fd00:5::90/128"]);
    node.del(&attached).ok();
}

#[test]
fn a_server_that_says_that_it_has_no_binding_is_asked_for_one() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let mut server = ground.kea6("fd00:5::50 - fd00:5::50", 12, &json!({}));
    let daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    server.kill();
    let duid = format!("--dhcp-duid={DUID}");
    let server = ground.dnsmasq_beside_others("fd00:5::10,fd00:5::99,64,120", &[&duid]);
    tells(&server, "DHCPRENEW(", 0);
    tells(&server, "DHCPREQUEST(", 0);
    until("a lease of the new server's time", || {
        let lease = &ground.leases()[0];
        let end = &lease["granted"]["lease"]["times"]["end"];
        if *end == 120 { Ok(()) } else { Err(format!("{lease}: {}{}", daemon.log(), server.log())) }
    });
    assert!(server.log().contains("no binding found"), "{}", server.log());
    assert!(!daemon.log().contains("lost"), "{}", daemon.log());
    assert_eq!(pod.addresses("eth0"), attached.addresses());
    node.check(&attached).ok();
    node.del(&attached).ok();
    assert!(ground.leases().is_empty());
}

#[test]
fn another_server_takes_a_lease_over_when_its_own_is_gone() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let mut server = ground.kea6("fd00:5::50 - fd00:5::50", 12, &json!({}));
    let daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf_of(&["ipv6"]), &pod);
    join(&pod);
    server.kill();
    let server = ground.dnsmasq("fd00:5::10,fd00:5::99,64,120", &[]);
    tells(&server, "DHCPREPLY(", 0);
    until("a lease of the new server's time", || {
        let lease = &ground.leases()[0];
        let end = &lease["granted"]["lease"]["times"]["end"];
        if *end == 120 { Ok(()) } else { Err(format!("{lease}: {}", daemon.log())) }
    });
    let held = ground.leases()[0]["granted"]["lease"]["address"].as_str().unwrap().to_owned();
    has(&pod, &[&format!("{held}/128")]);
    assert!(ping(&pod, SERVER6));
    node.del(&attached).ok();
    tells(&server, "DHCPRELEASE(", 0);
}

#[test]
fn a_container_that_is_gone_ends_its_leases() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let _server = ground.kea6("fd00:5::50 - fd00:5::59", 4, &json!({}));
    let daemon = ground.daemon();
    let mut pod = Pod::new();
    let attached = ground.node.attach(&ground.conf_of(&["ipv6"]), &pod);
    let veth = attached.host_link();
    pod.remove();
    tells(&daemon, "is gone", 0);
    assert!(ground.leases().is_empty());
    // The daemon does not keep the namespace alive.
    until("the veth is gone", || ground.node.link(&veth).map_or(Ok(()), Err));
    ground.node.del(&attached).ok();
}

#[test]
fn a_daemon_that_was_killed_keeps_the_leases_of_both_families_and_renews_them() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let servers = [
        ground.kea("10.5.0.50 - 10.5.0.59", 20),
        ground.kea6("fd00:5::50 - fd00:5::59", 20, &json!({})),
    ];
    let mut daemon = ground.daemon();
    let node = &ground.node;
    let pods = [Pod::new(), Pod::new()];
    let attached = [0, 1].map(|n| node.attach(&ground.conf_of(&["ipv6", "ipv4"]), &pods[n]));
    let granted = servers[0].log().matches("DHCP4_LEASE_ALLOC").count();
    daemon.kill();
    assert_eq!(ground.leases().len(), 4);
    let daemon = ground.daemon();
    for attached in &attached {
        node.check(attached).ok();
    }
    tells(&servers[0], "DHCP4_LEASE_ALLOC", granted + 1);
    tells(&servers[1], "DHCP6_LEASE_RENEW", 1);
    for (pod, attached) in pods.iter().zip(&attached) {
        join(pod);
        let mut told = attached.addresses();
        told.sort();
        assert_eq!(pod.addresses("eth0"), told);
        assert!(ping(pod, SERVER6));
        node.check(attached).ok();
        node.del(attached).ok();
    }
    tells(&servers[0], "DHCP4_RELEASE", 1);
    tells(&servers[1], "DHCP6_RELEASE_NA ", 1);
    assert!(!daemon.log().contains("lost"), "{}", daemon.log());
    assert!(ground.leases().is_empty());
}
