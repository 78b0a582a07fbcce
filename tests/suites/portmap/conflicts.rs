//! A port has one owner, who is named to whoever wants it as well.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, UPLINK_V4, UPLINK_V6, need};

use super::{Published, at, bridged, connect, of_ports, portmap, publish, routed, tcp, udp};
use crate::conf::with;

fn at_address(mapping: Value, address: &str) -> Value {
    with(mapping, json!({"hostIP": address}))
}

/// A node with a container that has these ports, and what a second one is answered.
fn second(first: &[Value], then: &[Value]) -> (Node, Published, testkit::Output) {
    let node = Node::new();
    let network = bridged(&node);
    let (one, two) = (node.pod(), node.pod());
    let made = publish(&node, &one, &network, &portmap(first));
    let base = node.attach(&network, &two);
    let before = node.snapshot();
    let conf = with(portmap(then), json!({"prevResult": base.result}));
    let output = node.add(&conf, &two, "eth0");
    if !output.succeeded() {
        before.assert_same(&node.snapshot());
        node.del(&node.unheard(&conf, &two)).ok();
        before.assert_same(&node.snapshot());
    }
    node.check(&made.ports).ok();
    (node, made, output)
}

#[test]
fn a_port_that_another_container_has_is_refused_with_its_name() {
    need!(Nft);
    let everywhere = [tcp(8080, 80)];
    let loopback = [at_address(tcp(8080, 80), "127.0.0.1")];
    for (first, then) in [
        (&everywhere[..], &[tcp(9, 9), tcp(8080, 81)][..]),
        (&loopback[..], &loopback[..]),
        // At one address and at all: nobody could tell whose it is.
        (&everywhere[..], &loopback[..]),
        (&loopback[..], &everywhere[..]),
        (&loopback[..], &[at_address(tcp(8080, 80), "0.0.0.0")][..]),
        (&[at_address(tcp(8080, 80), "::")][..], &everywhere[..]),
    ] {
        let (_node, made, output) = second(first, then);
        let owner = format!("net/{}/eth0", made.base.container);
        output.fails().is(101, &["8080/tcp", &owner]);
    }
}

#[test]
fn other_protocols_addresses_and_families_do_not_conflict() {
    need!(Nft);
    for (first, then) in [
        (tcp(8080, 80), udp(8080, 80)),
        (tcp(8080, 80), tcp(8081, 80)),
        (at_address(tcp(8080, 80), "127.0.0.1"), at_address(tcp(8080, 80), "127.0.0.2")),
        (at_address(tcp(8080, 80), "0.0.0.0"), at_address(tcp(8080, 80), "::")),
        (at_address(tcp(8080, 80), "127.0.0.1"), at_address(tcp(8080, 80), "::")),
    ] {
        let (_node, _made, output) = second(&[first], &[then]);
        output.ok();
    }
}

#[test]
fn a_port_is_free_again_when_its_owner_is_gone() {
    need!(Nft);
    for first in [tcp(8080, 80), at_address(tcp(8080, 80), "127.0.0.1")] {
        let (node, made, output) = second(&[first], &[tcp(8080, 80)]);
        output.fails();
        made.remove(&node);
        publish(&node, &node.pod(), &bridged(&node), &portmap(&[tcp(8080, 80)]));
    }
}

#[test]
fn a_dead_containers_port_goes_with_its_address() {
    need!(Nft);
    let node = Node::new();
    let network = bridged(&node);
    let conf = portmap(&[tcp(8080, 80), at_address(udp(5353, 53), "127.0.0.1")]);
    let made = publish(&node, &node.pod(), &network, &conf);
    let more = publish(&node, &node.pod(), &network, &portmap(&[tcp(1, 1)]));
    let before = of_ports(&node);
    // Its lease was freed behind its back, and somebody else has its address now.
    let pod = node.pod();
    let heir = super::map(&node, &pod, &made.base, &conf);
    node.check(&heir).ok();
    node.check(&more.ports).ok();
    assert!(node.check(&made.ports).fails().text().contains(&pod.id));
    // The dead one's DEL comes late, and takes what is left of it.
    node.del(&made.ports).ok();
    node.check(&heir).ok();
    let now = of_ports(&node).join("\n");
    assert!(!now.contains(&format!("net/{}/", made.base.container)), "{now}");
    assert_eq!(now.lines().count(), before.len());
    // In another network the same address is nobody's heir.
    let stranger = with(conf, json!({"name": "net2", "prevResult": made.base.result}));
    node.add(&stranger, &node.pod(), "eth0").fails().is(101, &["8080/tcp", &pod.id]);
}

#[test]
fn a_container_whose_namespace_ended_without_a_del_holds_no_port() {
    need!(Nft);
    for network in [bridged, routed] {
        let node = Node::new();
        let outside = node.outside();
        let network = network(&node);
        let resident = publish(&node, &node.pod(), &network, &portmap(&[tcp(1, 1)]));
        let mut dead = node.pod();
        let conf = portmap(&[tcp(8080, 80), at_address(udp(5353, 53), "127.0.0.1")]);
        let lost = publish(&node, &dead, &network, &conf);
        let link = lost.base.host_link();
        dead.remove();
        // The kernel takes the link in its own time.
        let start = std::time::Instant::now();
        while start.elapsed().as_secs() < 20 && node.link(&link).is_some() {}
        let pod = node.pod();
        let made = publish(&node, &pod, &network, &conf);
        assert_ne!(made.ip(false), lost.ip(false), "its lease is not portmap's");
        connect(&outside, &at(UPLINK_V4, 8080), &pod, &at(&made.ip(false), 80)).unwrap();
        node.check(&made.ports).ok();
        lost.remove(&node);
        node.check(&made.ports).ok();
        node.check(&resident.ports).ok();
    }
}

/// Networks of one container, each of which is given the same mappings.
fn several(node: &Node, pod: &Pod, conf: &Value, count: u8) -> Vec<Published> {
    let network = |index: u8| {
        let more = json!({
            "name": format!("net{index}"), "bridge": format!("br{index}"),
            "isGateway": true, "isDefaultGateway": index == 1,
            "ipam": node.host_local(&[&format!("10.{index}.0.0/24"), &format!("fd00:{index}::/64")]),
        });
        let base = node.attach_as(&with(bridged(node), more), pod, &format!("eth{index}"));
        let own = with(conf.clone(), json!({"name": format!("net{index}")}));
        let ports = super::map(node, pod, &base, &own);
        Published { base, ports }
    };
    (1..=count).map(network).collect()
}

#[test]
fn two_interfaces_of_a_container_ask_for_the_same_ports_and_the_first_has_them() {
    need!(Nft);
    let node = Node::new();
    let pod = node.pod();
    let conf = portmap(&[tcp(8080, 80), at_address(tcp(8081, 80), "127.0.0.1")]);
    let first = publish(&node, &pod, &bridged(&node), &conf);
    let before = of_ports(&node);
    let mut other = bridged(&node);
    other["name"] = json!("net2");
    other["bridge"] = json!("br1");
    other["isDefaultGateway"] = json!(false);
    other["ipam"] = node.host_local(&["10.2.0.0/24"]);
    let base = node.attach_as(&other, &pod, "eth1");
    let own = with(conf, json!({"name": "net2"}));
    let second = super::map(&node, &pod, &base, &own);
    node.check(&first.ports).ok();
    node.check(&second).ok();
    node.del(&second).ok();
    assert_eq!(before, of_ports(&node));
    node.check(&first.ports).ok();
}

#[test]
fn a_container_that_leaves_a_network_is_reached_by_its_next_one() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let pod = node.pod();
    let conf = portmap(&[tcp(8080, 80), at_address(tcp(8081, 80), UPLINK_V4)]);
    let all = several(&node, &pod, &conf, 3);
    let reaches = |of: &Published| {
        for port in [8080, 8081] {
            connect(&outside, &at(UPLINK_V4, port), &pod, &at(&of.ip(false), 80)).unwrap();
        }
        connect(&outside, &at(UPLINK_V6, 8080), &pod, &at(&of.ip(true), 80)).unwrap();
    };
    // A second ADD changes nothing.
    let said = of_ports(&node);
    super::map(&node, &pod, &all[2].base, &all[2].ports.conf);
    assert_eq!(said, of_ports(&node));
    for (index, one) in all.iter().enumerate() {
        reaches(one);
        for rest in &all[index..] {
            node.check(&rest.ports).ok();
        }
        // Once without what was asked for.
        let more = if index == 1 { json!({"runtimeConfig": null}) } else { json!({}) };
        let conf = with(one.ports.conf.clone(), more);
        node.del(&Attachment { conf, ..one.ports.clone() }).ok();
        node.del(&one.base).ok();
        if let Some(next) = all.get(index + 1) {
            for ip in next.base.ips() {
                let subnet = ip.strip_suffix('2').unwrap();
                pod.run(&["ip", "route", "add", "default", "via", &format!("{subnet}1")]);
            }
        }
    }
    assert_eq!(of_ports(&node), [""; 0], "nothing is left");
    // What is kept for later is checked, and collected.
    let all = several(&node, &pod, &conf, 2);
    let kept: Vec<String> = of_ports(&node).into_iter().filter(|l| l.contains("\"if4-")).collect();
    assert!(!kept.is_empty());
    node.del(&all[0].ports).ok();
    node.check(&all[1].ports).ok();
    node.gc(&all[1].ports.conf, &[]).ok();
    assert_eq!(of_ports(&node), [""; 0], "nothing is left");
}

#[test]
fn of_many_who_want_a_port_at_once_one_gets_it() {
    need!(Nft, Speed);
    let node = Node::new();
    let network = bridged(&node);
    let pods: Vec<_> = (0..8).map(|_| node.pod()).collect();
    let bases: Vec<_> = pods.iter().map(|pod| node.attach(&network, pod)).collect();
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let started: Vec<_> = pods
            .iter()
            .zip(&bases)
            .enumerate()
            .map(|(index, (pod, base))| {
                let mapping = if index % 2 == 0 { tcp(80, 80) } else { tcp(80, 81) };
                // Each has one of its own, too, which must not be lost with the other.
                let own = u16::try_from(9000 + index).unwrap();
                let conf =
                    with(portmap(&[mapping, tcp(own, 80)]), json!({"prevResult": base.result}));
                let node = &node;
                scope.spawn(move || node.add(&conf, pod, "eth0").succeeded())
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|succeeded| **succeeded).count(), 1, "{outcomes:?}");
}
