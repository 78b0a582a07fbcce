//! Packets through VFs.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::json;
use testkit::{Pf, Pod, need, silent};

use super::{Ground, reaches};

#[test]
fn pods_reach_each_other_through_one_adapter_and_over_the_wire() {
    need!(Sriov);
    let [near, far] = Pf::pair(2).map(|pf| Ground::of(pf, 2));
    let pods = [Pod::new(), Pod::new(), Pod::new()];
    let mac = |last: u8| format!("02:00:00:00:01:{last:02x}");
    let attached = [
        near.attach(&near.conf(0, json!({"mac": mac(1)})), &pods[0]),
        near.attach(&near.conf(1, json!({})), &pods[1]),
        far.attach(
            &far.conf(0, json!({"mac": mac(3), "ipam": {"type": "static", "addresses": [{"address": "10.9.0.3/24"}]}})),
            &pods[2],
        ),
    ];
    for (from, to) in [(0, "10.9.0.2"), (0, "10.9.0.3"), (2, "10.9.0.2"), (1, "10.9.0.1")] {
        assert!(reaches(&pods[from], to), "pod {from} to {to}");
    }
    for (ground, attached) in [(&near, &attached[0]), (&near, &attached[1]), (&far, &attached[2])] {
        ground.node.check(attached).ok();
        ground.node.del(attached).ok();
    }
    near.is_as_before(&pods[0]);
    far.is_as_before(&pods[2]);
    // After that the VFs carry packets on the node itself.
    let (first, second) = (near.pf.link(0), near.pf.link(1));
    let (a, b) = (Pod::new(), Pod::new());
    for (link, pod, address) in [(&first, &a, "10.9.0.1/24"), (&second, &b, "10.9.0.2/24")] {
        near.node.move_link(link, pod);
        pod.run(&["ip", "addr", "add", address, "dev", link]);
        pod.run(&["ip", "link", "set", link, "up"]);
    }
    assert!(reaches(&a, "10.9.0.2"), "the VFs carry nothing after they came back");
}

#[test]
fn a_packet_in_one_vlan_does_not_arrive_in_another() {
    need!(Sriov);
    let ground = Ground::new(3);
    let pods = [Pod::new(), Pod::new(), Pod::new()];
    let attached: Vec<_> = [(0, 100), (1, 100), (2, 200)]
        .iter()
        .map(|(n, vlan)| {
            ground.attach(&ground.conf(*n, json!({"vlan": vlan})), &pods[usize::from(*n)])
        })
        .collect();
    assert!(reaches(&pods[0], "10.9.0.2"), "in VLAN 100");
    // One and the same packet, to all: it arrives where the VLAN is, and nowhere else.
    let listen = |pod: &Pod| {
        let socket = pod.enter(|| UdpSocket::bind("0.0.0.0:4444")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
        socket
    };
    let (inside, outside) = (listen(&pods[1]), listen(&pods[2]));
    let sender = pods[0].enter(|| UdpSocket::bind("10.9.0.1:0")).expect("a socket");
    sender.set_broadcast(true).expect("broadcast");
    let mut buffer = [0; 16];
    sender.send_to(b"to all", "10.9.0.255:4444").expect("the packet");
    assert_eq!(inside.recv(&mut buffer).expect("it arrives in its VLAN"), 6);
    assert!(outside.recv(&mut buffer).is_err(), "it arrived in another VLAN");
    assert!(silent(&pods[0], "10.9.0.3"), "from VLAN 100 to VLAN 200");
    // Only the VLAN kept them apart.
    ground.set(2, "vlan 100");
    assert!(reaches(&pods[0], "10.9.0.3"), "in VLAN 100");
    for attached in &attached {
        ground.node.del(attached).ok();
    }
    ground.is_as_before(&pods[0]);
}
