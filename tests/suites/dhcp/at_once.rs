//! Many containers.

use std::collections::BTreeSet;

use testkit::Pod;

use super::ground::Ground;

#[test]
fn fifty_containers_at_once_get_fifty_addresses_and_give_them_back() {
    testkit::need!(DhcpServer);
    let ground = Ground::new();
    let server = ground.dnsmasq("10.5.0.50,10.5.0.199,2m", &["--dhcp-lease-max=1000"]);
    let daemon = ground.daemon();
    let (node, conf) = (&ground.node, ground.conf());
    let pods: Vec<Pod> = (0..50).map(|_| Pod::new()).collect();
    let attached: Vec<_> = std::thread::scope(|scope| {
        let adds: Vec<_> = pods.iter().map(|pod| scope.spawn(|| node.attach(&conf, pod))).collect();
        adds.into_iter().map(|add| add.join().unwrap()).collect()
    });
    let addresses: BTreeSet<String> = attached.iter().map(testkit::Attachment::ip).collect();
    assert_eq!(addresses.len(), pods.len());
    assert_eq!(ground.leases().len(), pods.len());
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
    super::ground::tells(&server, "DHCPRELEASE", pods.len() - 1);
    assert_eq!(node.links(), ["lo", "br0", "up0"]);
}

#[test]
fn thirty_containers_at_once_get_addresses_of_both_families_and_give_them_back() {
    testkit::need!(DhcpServer);
    let ground = Ground::with_ipv6();
    let server = ground.dnsmasq(
        "fd00:5::1:0,fd00:5::1:ffff,64,120",
        &["--dhcp-lease-max=1000", "--dhcp-range=10.5.0.50,10.5.0.199,2m"],
    );
    let daemon = ground.daemon();
    let (node, conf) = (&ground.node, ground.conf_of(&["ipv4", "ipv6"]));
    let pods: Vec<Pod> = (0..30).map(|_| Pod::new()).collect();
    let attached: Vec<_> = std::thread::scope(|scope| {
        let adds: Vec<_> = pods.iter().map(|pod| scope.spawn(|| node.attach(&conf, pod))).collect();
        adds.into_iter().map(|add| add.join().unwrap()).collect()
    });
    let addresses: BTreeSet<String> =
        attached.iter().flat_map(testkit::Attachment::addresses).collect();
    assert_eq!(addresses.len(), 2 * pods.len());
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
    super::ground::tells(&server, "DHCPRELEASE(", 2 * pods.len() - 1);
    assert_eq!(node.links(), ["lo", "br0", "up0"]);
}
