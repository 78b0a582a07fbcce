//! `conditionsV4` and `conditionsV6`: some are let in by a port, and others find what is there
//! without it. Networks with conditions do not disturb each other.

use serde_json::json;
use testkit::{Node, OUTSIDE_V4, OUTSIDE_V6, UPLINK_V4, UPLINK_V6, need};

use super::{at, bridged, connect, is_closed, of_ports, portmap, publish, tcp};
use crate::conf::with;

#[test]
fn only_what_meets_the_conditions_is_let_in() {
    need!(Nft);
    for (conditions, let_in) in [
        (
            json!({"conditionsV4": ["ip", "saddr", OUTSIDE_V4], "conditionsV6": ["ip6 saddr", OUTSIDE_V6]}),
            true,
        ),
        (
            json!({"conditionsV4": ["ip saddr != 192.0.2.0/24"], "conditionsV6": ["ip6 saddr != 2001:db8::/31"]}),
            false,
        ),
        (
            json!({"conditionsV4": ["ip daddr {10.9.9.9, 192.0.2.0/25}"], "conditionsV6": ["iifname", "up*"]}),
            true,
        ),
        (json!({"conditionsV4": ["iifname != {up0,lo}"], "conditionsV6": ["meta mark 7"]}), false),
    ] {
        let node = Node::new();
        let outside = node.outside();
        let pod = node.pod();
        let own = with(
            portmap(&[tcp(8080, 80), with(tcp(8081, 80), json!({"hostIP": UPLINK_V4}))]),
            conditions.clone(),
        );
        let made = publish(&node, &pod, &bridged(&node), &own);
        let reached = |uplink: &str, port, v6| {
            connect(&outside, &at(uplink, port), &pod, &at(&made.ip(v6), 80)).is_ok()
        };
        if let_in {
            assert!(
                reached(UPLINK_V4, 8080, false) && reached(UPLINK_V4, 8081, false),
                "{conditions}"
            );
            assert!(reached(UPLINK_V6, 8080, true), "{conditions}");
        } else {
            for dial in [at(UPLINK_V4, 8080), at(UPLINK_V4, 8081), at(UPLINK_V6, 8080)] {
                assert!(is_closed(&outside, &dial), "{conditions} {dial}");
            }
        }
        node.check(&made.ports).ok();
        let file = node.directory().join("all.nft");
        std::fs::write(&file, node.run(&["nft", "list", "ruleset"])).unwrap();
        node.run(&["nft", "-c", "-f", file.to_str().unwrap()]);
        std::fs::remove_file(file).unwrap();
        made.remove(&node);
        assert!(of_ports(&node).is_empty());
    }
}

#[test]
fn equal_conditions_are_shared_and_others_stand_beside() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let network = bridged(&node);
    let v4 = |port| with(tcp(port, 80), json!({"hostIP": "0.0.0.0"}));
    let of = |conditions: &str| json!({"conditionsV4": [conditions]});
    let outsiders = of("ip saddr 192.0.2.0/24");
    let pods: Vec<_> = (0..4).map(|_| node.pod()).collect();
    let first = publish(&node, &pods[0], &network, &with(portmap(&[v4(8080)]), outsiders.clone()));
    let chains = || of_ports(&node).iter().filter(|line| line.starts_with(r#"{"chain"#)).count();
    let with_one = chains();
    let second = publish(&node, &pods[1], &network, &with(portmap(&[v4(8081)]), outsiders.clone()));
    assert_eq!(chains(), with_one);
    // The same port for the rest of the world, and a last one for all.
    let third = publish(
        &node,
        &pods[2],
        &network,
        &with(portmap(&[v4(8080)]), of("ip saddr != 192.0.2.0/24")),
    );
    let last = publish(&node, &pods[3], &network, &portmap(&[v4(8082)]));
    for (made, pod, port) in
        [(&first, &pods[0], 8080), (&second, &pods[1], 8081), (&last, &pods[3], 8082)]
    {
        connect(&outside, &at(UPLINK_V4, port), pod, &at(&made.ip(false), 80)).unwrap();
    }
    connect(&node, "127.0.0.1:8080", &pods[2], &at(&third.ip(false), 80)).unwrap();
    let all = [&first, &second, &third, &last];
    for made in all {
        node.check(&made.ports).ok();
    }
    first.remove(&node);
    for made in &all[1..] {
        node.check(&made.ports).ok();
    }
    // Whoever deletes may have forgotten the conditions.
    let mut forgotten = second.ports.clone();
    forgotten.conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
    forgotten.result = json!(null);
    node.del(&forgotten).ok();
    node.check(&last.ports).ok();
    third.remove(&node);
    node.check(&last.ports).ok();
    assert_eq!(chains(), with_one - 2);
    last.remove(&node);
    assert!(of_ports(&node).is_empty());
}
