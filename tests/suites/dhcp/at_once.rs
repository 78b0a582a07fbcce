//! Many containers.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::{Attachment, Pod};

use super::ground::{Ground, MANY, MANY6, MOST, Process, tells};

#[test]
fn fifty_containers_at_once_get_fifty_addresses_and_give_them_back() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.dnsmasq(MANY, &[MOST]);
    crowd(&ground, &server, &ground.conf(), 50, 1);
}

#[test]
fn thirty_containers_at_once_get_addresses_of_both_families_and_give_them_back() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let server = ground.dnsmasq(MANY6, &[MOST, &format!("--dhcp-range={MANY}")]);
    crowd(&ground, &server, &ground.conf_of(&["ipv4", "ipv6"]), 30, 2);
}

/// So many containers come and go at once, with so many addresses each.
fn crowd(ground: &Ground, server: &Process, conf: &Value, containers: usize, each: usize) {
    let (node, daemon) = (&ground.node, ground.daemon());
    let pods: Vec<Pod> = (0..containers).map(|_| Pod::new()).collect();
    let attached: Vec<_> = std::thread::scope(|scope| {
        let adds: Vec<_> = pods.iter().map(|pod| scope.spawn(|| node.attach(conf, pod))).collect();
        adds.into_iter().map(|add| add.join().unwrap()).collect()
    });
    let addresses: BTreeSet<String> = attached.iter().flat_map(Attachment::addresses).collect();
    assert_eq!(addresses.len(), each * containers);
    assert_eq!(ground.leases().len(), each * containers);
    // One thread holds them all, and no descriptor each.
    let process = format!("/proc/{}", daemon.id());
    assert_eq!(std::fs::read_dir(format!("{process}/task")).unwrap().count(), 1);
    let descriptors = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    assert!(descriptors < 20, "{descriptors}");
    std::thread::scope(|scope| {
        for attached in &attached {
            scope.spawn(|| node.del(attached).ok());
        }
    });
    assert!(ground.leases().is_empty());
    tells(server, "DHCPRELEASE(", each * containers - 1);
    assert_eq!(node.links(), ["lo", "br0", "up0"]);
}
