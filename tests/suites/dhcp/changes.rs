//! Renewal, and what comes when it fails: another server, another address, none.

use serde_json::json;
use testkit::{Pod, ping};

use super::ground::{Ground, SERVER, has, tells};
use crate::agent::ground::until;
use crate::conf::with;

#[test]
fn a_short_lease_is_renewed_and_the_container_sees_nothing_of_it() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.kea("10.5.0.50 - 10.5.0.50", 4);
    let _daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf(), &pod);
    let index = pod.link("eth0").unwrap()["ifindex"].clone();
    tells(&server, "DHCP4_LEASE_ALLOC", 3);
    assert_eq!(pod.addresses("eth0"), ["10.5.0.50/24"]);
    assert_eq!(pod.link("eth0").unwrap()["ifindex"], index);
    node.check(&attached).ok();
    assert!(ping(&pod, SERVER));
    node.del(&attached).ok();
    tells(&server, "DHCP4_RELEASE", 0);
}

#[test]
fn when_the_server_is_gone_the_address_goes_and_another_servers_comes_in_its_place() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let mut server = ground.kea("10.5.0.50 - 10.5.0.50", 4);
    let daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let conf = with(ground.conf(), json!({"isDefaultGateway": false}));
    let attached = node.attach(&conf, &pod);
    pod.run(&["ip", "route", "add", "172.20.0.0/16", "via", SERVER]);
    server.kill();
    tells(&daemon, "it has expired", 0);
    has(&pod, &[]);
    assert!(pod.link("eth0").unwrap()["flags"].as_array().unwrap().contains(&json!("UP")));
    node.check(&attached).fails().is(103, &["no lease", "expired"]);
    // One daemon's crash later it is still wanted.
    drop(daemon);
    let daemon = ground.daemon();
    let _server = ground.kea("10.5.0.77 - 10.5.0.77", 40);
    tells(&daemon, "10.5.0.77/24", 0);
    has(&pod, &["10.5.0.77/24"]);
    let routes = pod.routes("-4", "main");
    for dst in ["default", "172.20.0.0/16"] {
        assert!(routes.iter().any(|r| r["dst"] == dst && r["gateway"] == SERVER), "{routes:?}");
    }
    assert!(ping(&pod, SERVER));
    node.check(&attached).fails().is(103, &["10.5.0.77/24", "10.5.0.50/24"]);
    node.del(&attached).ok();
    assert!(ground.leases().is_empty());
}

#[test]
fn a_server_that_refuses_to_renew_is_asked_for_another_address_which_replaces_the_first() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let mut server = ground.kea("10.5.0.50 - 10.5.0.50", 12);
    let daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf(), &pod);
    assert_eq!(attached.ip(), "10.5.0.50");
    // What others have added is theirs: addresses, also of the same subnet, and routes with all they have.
    pod.run(&["sysctl", "-qw", "net.ipv4.conf.eth0.promote_secondaries=0"]);
    pod.batch(
        "addr add 10.5.0.200/24 dev eth0\naddr add 172.21.0.1/16 dev eth0\n\
         route add 172.22.0.0/16 via 10.5.0.1 src 172.21.0.1 mtu 1300 advmss 1200\n\
         route add 172.23.0.0/16 via 10.5.0.1 src 10.5.0.50\n",
    );
    server.kill();
    // It knows nothing of the lease, and has no such address to give.
    let _server = ground.dnsmasq("10.5.0.90,10.5.0.90,2m", &[]);
    tells(&daemon, "refuses to renew", 0);
    has(&pod, &["10.5.0.200/24", "10.5.0.90/24", "172.21.0.1/16"]);
    let main = |pod: &Pod, dst: &str| {
        let routes = pod.routes("-4", "main");
        routes.iter().find(|r| r["dst"] == dst && r["gateway"] == SERVER).cloned().ok_or(routes)
    };
    // They come one after the other.
    until("the last route is back", || main(&pod, "172.23.0.0/16").map(drop));
    assert!(ping(&pod, SERVER));
    // The address that containers are known by is the leased one.
    assert_eq!(main(&pod, "default").unwrap()["prefsrc"], "10.5.0.90");
    assert_eq!(main(&pod, "172.23.0.0/16").unwrap()["prefsrc"], "10.5.0.90");
    let kept = main(&pod, "172.22.0.0/16").unwrap();
    assert_eq!(kept["prefsrc"], "172.21.0.1", "{kept}");
    assert_eq!(kept["metrics"], json!([{"mtu": 1300, "advmss": 1200}]), "{kept}");
    assert_eq!(pod.sysctl("net/ipv4/conf/eth0/promote_secondaries"), "0");
}

#[test]
fn a_container_that_is_gone_ends_its_lease() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.kea("10.5.0.50 - 10.5.0.59", 4);
    let daemon = ground.daemon();
    let mut pod = Pod::new();
    let attached = ground.node.attach(&ground.conf(), &pod);
    let veth = attached.host_link();
    pod.remove();
    tells(&daemon, "is gone", 0);
    assert!(ground.leases().is_empty());
    // The daemon does not keep the namespace alive.
    until("the veth is gone", || ground.node.link(&veth).map_or(Ok(()), Err));
    ground.node.del(&attached).ok();
}
