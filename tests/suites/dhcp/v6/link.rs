//! The link-local address, through which all is said.

use std::net::UdpSocket;

use serde_json::json;
use testkit::Pod;

use crate::conf::with;
use crate::dhcp::ground::Ground;

/// A pod with an interface that no plugin has prepared, and that is down.
pub fn unprepared(ground: &Ground) -> Pod {
    let pod = Pod::new();
    ground
        .node
        .batch("link add w0 type veth peer name w1\nlink set w0 master br0\nlink set w0 up\n");
    ground.node.move_link("w1", &pod);
    pod.run(&["ip", "link", "set", "w1", "name", "eth0"]);
    pod
}

#[test]
fn an_address_that_is_still_probed_for_is_waited_for_and_heard_of() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let _server = ground.dnsmasq("fd00:5::10,fd00:5::99,64,120", &[]);
    // Looking again would be too late: only what the kernel tells lets the ADD succeed.
    let daemon =
        ground.daemon_with(&ground.socket(), &["-timeout", "300s", "-resendtimeout", "60s"]);
    let pod = unprepared(&ground);
    pod.set_sysctl("net/ipv6/conf/eth0/accept_dad", "1");
    let conf = with(ground.conf_of(&["ipv6"]), json!({"type": "dhcp"}));
    let attached = ground.node.attach(&conf, &pod);
    assert!(attached.ip().starts_with("fd00:5::"), "{}", daemon.log());
    ground.node.del(&attached).ok();
    assert!(ground.leases().is_empty());
}

#[test]
fn an_interface_that_gets_none_is_named() {
    let ground = Ground::with_ipv6();
    let socket = ground.socket();
    let _daemon = ground.daemon_with(&socket, &["-resendtimeout", "1500ms"]);
    let pod = unprepared(&ground);
    pod.run(&["ip", "link", "set", "eth0", "addrgenmode", "none"]);
    let conf = with(ground.conf_of(&["ipv6"]), json!({"type": "dhcp"}));
    let error = ground.node.add(&conf, &pod, "eth0").fails();
    error.is(11, &["no DHCPv6 lease", "eth0 has no link-local address"]);
    assert!(ground.leases().is_empty());
}

#[test]
fn a_client_that_the_container_has_itself_is_named_as_the_hindrance() {
    let ground = Ground::with_ipv6();
    let socket = ground.socket();
    let _daemon = ground.daemon_with(&socket, &["-resendtimeout", "1500ms"]);
    let (node, pod) = (&ground.node, Pod::new());
    let other = pod.enter(|| UdpSocket::bind("[::]:546").unwrap());
    let error = node.add(&ground.conf_of(&["ipv6"]), &pod, "eth0").fails();
    error.is(11, &["no DHCPv6 lease", "eth0 port 546", "in use"]);
    assert_eq!(pod.links(), ["lo"]);
    drop(other);
}

#[test]
fn two_interfaces_of_a_container_have_a_lease_each() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let _server = ground.dnsmasq("fd00:5::10,fd00:5::99,64,120", &[]);
    let _daemon = ground.daemon();
    let (node, pod, conf) = (&ground.node, Pod::new(), ground.conf_of(&["ipv6"]));
    let attached = ["eth0", "net1"].map(|name| node.attach_as(&conf, &pod, name));
    assert_ne!(attached[0].ip(), attached[1].ip());
    assert_eq!(pod.addresses("net1"), attached[1].addresses());
    node.del(&attached[1]).ok();
    node.check(&attached[0]).ok();
    assert_eq!(ground.leases().len(), 1);
}

#[test]
fn duplicates_are_looked_for_when_that_is_asked() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let _server = ground.dnsmasq("fd00:5::10,fd00:5::99,64,120", &["--enable-ra"]);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let conf = with(ground.conf_of(&["ipv6"]), json!({"enabledad": true}));
    let attached = node.attach(&conf, &pod);
    assert_eq!(pod.sysctl("net/ipv6/conf/eth0/accept_dad"), "1");
    assert!(pod.is_settled("eth0"));
    assert_eq!(pod.addresses("eth0"), attached.addresses());
    node.check(&attached).ok();
}
