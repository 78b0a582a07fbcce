//! The daemon ends, in all ways, and comes again.

use std::collections::BTreeSet;
use std::process::Command;

use testkit::{Pod, ping};

use super::ground::{Ground, SERVER, tells};

#[test]
fn a_daemon_that_was_killed_keeps_its_leases_and_renews_them() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.kea("10.5.0.50 - 10.5.0.59", 20);
    let mut daemon = ground.daemon();
    let node = &ground.node;
    let pods = [Pod::new(), Pod::new()];
    let attached = [0, 1].map(|n| node.attach(&ground.conf(), &pods[n]));
    let granted = server.log().matches("DHCP4_LEASE_ALLOC").count();
    daemon.kill();
    assert_eq!(ground.leases().len(), 2);
    let daemon = ground.daemon();
    for attached in &attached {
        node.check(attached).ok();
    }
    tells(&server, "DHCP4_LEASE_ALLOC", granted + 1);
    for (pod, attached) in pods.iter().zip(&attached) {
        assert_eq!(pod.addresses("eth0"), attached.addresses());
        assert!(ping(pod, SERVER));
        node.check(attached).ok();
        node.del(attached).ok();
    }
    tells(&server, "DHCP4_RELEASE", 1);
    assert!(!daemon.log().contains("lost"), "{}", daemon.log());
    assert!(ground.leases().is_empty());
}

#[test]
fn a_daemon_that_is_killed_while_an_add_waits_fails_it_and_nothing_is_left() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let mut daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let before = node.snapshot();
    std::thread::scope(|scope| {
        let add = scope.spawn(|| node.add(&ground.conf(), &pod, "eth0"));
        crate::agent::ground::until("the container asks", || match pod.link("eth0") {
            Some(link) if link["operstate"] == "UP" => Ok(()),
            other => Err(other),
        });
        daemon.kill();
        add.join().unwrap().fails().is(11, &["dhcp daemon"]);
    });
    assert_eq!(pod.links(), ["lo"]);
    assert_eq!(before.section("links"), node.snapshot().section("links"));
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let _daemon = ground.daemon();
    let attached = node.attach(&ground.conf(), &pod);
    node.check(&attached).ok();
}

/// That the kernel tells nothing for the moment does not mean that the container is gone.
#[test]
fn a_daemon_that_has_no_more_descriptors_forgets_no_lease() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.kea("10.5.0.50 - 10.5.0.59", 40);
    let daemon = ground.daemon();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf(), &pod);
    let granted = server.log().matches("DHCP4_LEASE_ALLOC").count();
    let limit = |descriptors: usize| {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &daemon.id().to_string(), &format!("--nofile={descriptors}:")]);
        assert!(command.status().unwrap().success());
    };
    // A file for the namespace and one for the way back, and none for a socket there.
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap();
    let open: BTreeSet<String> =
        open.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    limit((0..).filter(|number: &usize| !open.contains(&number.to_string())).nth(2).unwrap());
    tells(&daemon, "Too many open files", 0);
    limit(1000);
    tells(&server, "DHCP4_LEASE_ALLOC", granted);
    node.check(&attached).ok();
    assert_eq!(pod.addresses("eth0"), attached.addresses());
    assert!(!daemon.log().contains("is gone"), "{}", daemon.log());
}

#[test]
fn plugins_wait_while_there_are_no_descriptors_for_them() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let daemon = ground.daemon();
    let limit = |descriptors: usize| {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &daemon.id().to_string(), &format!("--nofile={descriptors}:")]);
        assert!(command.status().unwrap().success());
    };
    limit(3);
    let (node, pod) = (&ground.node, Pod::new());
    std::thread::scope(|scope| {
        let add = scope.spawn(|| node.attach(&ground.conf(), &pod));
        tells(&daemon, "plugins have to wait", 1);
        limit(1000);
        node.check(&add.join().unwrap()).ok();
    });
    // Twice a second it looks again, and not as often as it can.
    assert!(daemon.log().matches("plugins have to wait").count() < 100);
}

#[test]
fn garbage_among_the_leases_keeps_no_daemon_from_starting() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let _server = ground.dnsmasq("10.5.0.50,10.5.0.99,2m", &[]);
    let directory = ground.file("dhcp");
    std::fs::create_dir(&directory).unwrap();
    for (name, text) in [("a.json", ""), ("b.json", "{}"), ("c.json", "\u{0}\u{0}")] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let (pipe, other) = (directory.join("d.json"), directory.join("e.json"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::create_dir(&other).unwrap();
    let daemon = ground.daemon();
    assert!(daemon.log().contains("a FIFO"), "{}", daemon.log());
    std::fs::remove_file(pipe).unwrap();
    std::fs::remove_dir(other).unwrap();
    let (node, pod) = (&ground.node, Pod::new());
    let attached = node.attach(&ground.conf(), &pod);
    node.check(&attached).ok();
    assert_eq!(ground.leases().len(), 1);
    assert!(daemon.log().contains("is no lease"), "{}", daemon.log());
}
