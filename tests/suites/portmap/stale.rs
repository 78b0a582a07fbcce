//! Datagrams of somebody who keeps sending from one port, while containers come and go.

use testkit::{Node, UPLINK_V4, UPLINK_V6, need};

use super::{at, bridged, client, exchange, portmap, publish, tcp, udp};

#[test]
fn a_sender_who_was_there_before_the_container_reaches_it_and_its_successor() {
    need!(Nft);
    for (uplink, v6) in [(UPLINK_V4, false), (UPLINK_V6, true)] {
        let node = Node::new();
        let outside = node.outside();
        let network = bridged(&node);
        // Connections are tracked from the first container on.
        let resident = node.pod();
        publish(&node, &resident, &network, &portmap(&[tcp(80, 80)]));
        let sender = client(&outside, &at(uplink, 5353));
        sender.send(b"hello").unwrap();
        // Nobody is there, which the sender may be told.
        drop(sender.take_error());

        let (first, second) = (node.pod(), node.pod());
        let conf = portmap(&[udp(5353, 53), udp(5354, 54)]);
        let made = publish(&node, &first, &network, &conf);
        exchange(&sender, &first, &at(&made.ip(v6), 53)).unwrap();
        made.remove(&node);
        let made = publish(&node, &second, &network, &conf);
        exchange(&sender, &second, &at(&made.ip(v6), 53)).unwrap();
        // The mapping changes under the sender.
        let conf = portmap(&[udp(5353, 99)]);
        super::map(&node, &second, &made.base, &conf);
        exchange(&sender, &second, &at(&made.ip(v6), 99)).unwrap();
    }
}

#[test]
fn a_container_that_went_without_its_namespace_leaves_no_black_hole() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let network = bridged(&node);
    let conf = portmap(&[udp(5353, 53)]);
    let mut first = node.pod();
    let made = publish(&node, &first, &network, &conf);
    let sender = client(&outside, &at(UPLINK_V4, 5353));
    exchange(&sender, &first, &at(&made.ip(false), 53)).unwrap();
    first.remove();
    for attachment in [&made.ports, &made.base] {
        node.del_call(attachment).env("CNI_NETNS", "").run().ok();
    }
    let second = node.pod();
    let made = publish(&node, &second, &network, &conf);
    exchange(&sender, &second, &at(&made.ip(false), 53)).unwrap();
}

#[test]
fn a_sender_to_somebody_else_is_left_alone() {
    need!(Nft);
    let node = Node::new();
    let outside = node.outside();
    let network = bridged(&node);
    let (pod, other) = (node.pod(), node.pod());
    let made = publish(&node, &other, &network, &portmap(&[tcp(80, 80)]));
    // The other container speaks with the world at the very port, and the world knows it by the
    // node's address and a port, which it must keep.
    let sender = client(&other, &at(testkit::OUTSIDE_V4, 5353));
    let listen = at(testkit::OUTSIDE_V4, 5353);
    let server = outside.enter(|| std::net::UdpSocket::bind(&listen)).unwrap();
    server.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let peer = || {
        sender.send(b"hello").unwrap();
        server.recv_from(&mut [0; 5]).unwrap().1
    };
    let before = peer();
    // Whoever comes later by the same port of the node would be given another one.
    publish(&node, &pod, &network, &portmap(&[udp(5353, 53)]));
    assert_eq!(before, peer());
    assert_eq!(before.ip().to_string(), UPLINK_V4);
    drop(made);
}
