//! What packets make of the rules.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use cni::NetworkName;
use firewall::{add, check, del, exempt};

use crate::kit::{
    Namespace, antispoof, attachment, ips, masquerade, network_exempt, networks, tool,
};

/// A pod behind a routed veth, so that all of its packets pass the node's postrouting, and a
/// world outside that has a way back to the pod in any case.
struct Routed {
    pod: Namespace,
    node: Namespace,
    outside: Namespace,
}

impl Routed {
    fn new() -> Self {
        let (pod, node, outside) = (Namespace::new(), Namespace::new(), Namespace::new());
        node.ip(&format!("link add veth1 type veth peer name eth0 netns {}", pod.task));
        node.ip(&format!("link add up0 type veth peer name eth0 netns {}", outside.task));
        for (on, link, addresses) in [
            (&pod, "eth0", &["10.1.0.5/32", "fd00:1::5/128"][..]),
            (&node, "veth1", &["10.1.0.1/32", "fd00:1::1/128"]),
            (&node, "up0", &["192.0.2.1/24", "2001:db8::1/64"]),
            (&outside, "eth0", &["192.0.2.2/24", "2001:db8::2/64"]),
            // Others of the pod's subnet, and an exempt destination, are out there too.
            (&outside, "lo", &["10.1.9.9/32", "fd00:1::9/128", "198.51.100.1/32"]),
        ] {
            for address in addresses {
                let nodad = if address.contains(':') { " nodad" } else { "" };
                on.ip(&format!("address add {address} dev {link}{nodad}"));
            }
            on.ip(&format!("link set {link} up"));
        }
        for (on, route) in [
            (&pod, "10.1.0.1 dev eth0"),
            (&pod, "default via 10.1.0.1"),
            (&pod, "fd00:1::1 dev eth0"),
            (&pod, "default via fd00:1::1"),
            (&node, "10.1.0.5 dev veth1"),
            (&node, "10.1.9.9 via 192.0.2.2"),
            (&node, "198.51.100.1 via 192.0.2.2"),
            (&node, "224.0.0.0/4 dev up0"),
            (&node, "fd00:1::5 dev veth1"),
            (&node, "fd00:1::9 via 2001:db8::2"),
            (&outside, "10.1.0.0/16 via 192.0.2.1"),
            (&outside, "fd00:1::/64 via 2001:db8::1"),
        ] {
            let family = if route.contains("::") { "-6" } else { "-4" };
            on.ip(&format!("{family} route add {route}"));
        }
        node.run(|| {
            for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{switch}"), "1").unwrap();
            }
        });
        Self { pod, node, outside }
    }

    /// The address under which the pod is seen at `target`.
    fn seen_at(&self, target: &str) -> String {
        seen(&self.pod, None, &self.outside, target)
    }
}

/// The address that `receiver` sees a datagram to its address `target` come from.
fn seen(sender: &Namespace, from: Option<&str>, receiver: &Namespace, target: &str) -> String {
    let target: std::net::IpAddr = target.parse().unwrap();
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let (socket, port) = receiver.run(move || {
        let socket = UdpSocket::bind(any).unwrap();
        if let std::net::IpAddr::V4(group) = target
            && group.is_multicast()
        {
            socket.join_multicast_v4(&group, &Ipv4Addr::new(192, 0, 2, 2)).unwrap();
        }
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, port)
    });
    let from = from.map_or_else(|| any.to_owned(), |a| format!("{a}:0"));
    // A first datagram may be lost while neighbours find each other.
    for _ in 0..20 {
        let from = from.clone();
        sender.run(move || {
            let socket = UdpSocket::bind(from).unwrap();
            socket.send_to(b"hello", SocketAddr::new(target, port)).unwrap();
        });
        if let Ok((_, source)) = socket.recv_from(&mut [0; 16]) {
            return source.ip().to_string();
        }
    }
    panic!("nothing arrives at {target}");
}

#[test]
fn a_pod_is_seen_outside_under_the_nodes_address_and_in_its_subnet_under_its_own() {
    let net = Routed::new();
    let mut wanted = masquerade(attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"]);
    wanted.masquerade.as_mut().unwrap().exempt = vec!["198.51.100.0/24".parse().unwrap()];
    // The control: everything arrives without masquerade as well, under the pod's address.
    for target in ["192.0.2.2", "10.1.9.9", "198.51.100.1"] {
        assert_eq!(net.seen_at(target), "10.1.0.5");
    }
    assert_eq!(net.seen_at("2001:db8::2"), "fd00:1::5");

    let to_add = wanted.clone();
    net.node.run(move || {
        // Other groups' chains come before and after.
        add(&masquerade(attachment("net", "c0"), &["10.8.0.1/16", "fd00:8::1/64"])).unwrap();
        add(&to_add).unwrap();
        add(&masquerade(attachment("net", "c2"), &["10.9.0.1/16", "fd00:9::1/64"])).unwrap();
    });
    assert_eq!(net.seen_at("192.0.2.2"), "192.0.2.1");
    assert_eq!(net.seen_at("10.1.9.9"), "10.1.0.5", "the own subnet");
    assert_eq!(net.seen_at("198.51.100.1"), "10.1.0.5", "an exempt destination");
    assert_eq!(net.seen_at("2001:db8::2"), "2001:db8::1");
    assert_eq!(net.seen_at("fd00:1::9"), "fd00:1::5", "the own subnet");
    net.node.run(move || assert!(check(&wanted).unwrap().is_empty()));

    net.node.run(|| {
        del(&attachment("net", "c1"), Some(&ips(&["10.1.0.5", "fd00:1::5"])), None).unwrap();
    });
    assert_eq!(net.seen_at("192.0.2.2"), "10.1.0.5");
    assert_eq!(net.seen_at("2001:db8::2"), "fd00:1::5");
}

#[test]
fn what_a_network_exempts_sees_the_pods_own_address_at_once() {
    let net = Routed::new();
    let network: NetworkName = "net".parse().unwrap();
    let change = |wanted: &'static str| {
        let network = network.clone();
        net.node.run(move || exempt::set(&network, &networks(wanted)).unwrap());
    };
    let addresses = ["10.1.0.5/16", "fd00:1::5/64"];
    net.node.run(move || add(&network_exempt(attachment("net", "c1"), &addresses)).unwrap());
    let seen = || ["192.0.2.2", "198.51.100.1", "2001:db8::2"].map(|target| net.seen_at(target));
    assert_eq!(seen(), ["192.0.2.1", "192.0.2.1", "2001:db8::1"], "nothing is exempt yet");
    change("192.0.2.2/32 2001:db8::2/128");
    assert_eq!(seen(), ["10.1.0.5", "192.0.2.1", "fd00:1::5"]);
    change("198.51.0.0/16 198.51.100.0/24 192.0.2.0/31 2001:db8::3/128");
    assert_eq!(seen(), ["192.0.2.1", "10.1.0.5", "2001:db8::1"]);
    change("198.51.100.0/31 192.0.2.2/31 ::/0");
    assert_eq!(seen(), ["10.1.0.5", "10.1.0.5", "fd00:1::5"]);
    change("");
    assert_eq!(seen(), ["192.0.2.1", "192.0.2.1", "2001:db8::1"]);
    // Another network's exemptions are of no account.
    net.node.run(|| exempt::set(&"net2".parse().unwrap(), &networks("0.0.0.0/0")).unwrap());
    assert_eq!(net.seen_at("192.0.2.2"), "192.0.2.1");
}

#[test]
fn multicast_goes_out_under_the_senders_own_address() {
    let net = Routed::new();
    // The kernel sends multicast through the link that has the sender's address.
    net.node.ip("address add 10.1.0.99/32 dev up0");
    net.node.run(|| add(&masquerade(attachment("net", "c1"), &["10.1.0.99/16"])).unwrap());
    let seen_at = |target| seen(&net.node, Some("10.1.0.99"), &net.outside, target);
    assert_eq!(seen_at("192.0.2.2"), "192.0.2.1", "the control: unicast is masqueraded");
    assert_eq!(seen_at("224.0.0.251"), "10.1.0.99");
}

#[test]
fn a_frame_with_a_foreign_address_is_dropped_and_an_honest_one_passes() {
    let (node, guarded, free) = (Namespace::new(), Namespace::new(), Namespace::new());
    node.ip("link add br0 type bridge");
    node.ip("address add 10.1.0.1/16 dev br0");
    node.ip("link set br0 up");
    for (pod, link, address) in
        [(&guarded, "veth1", "10.1.0.5/16"), (&free, "veth2", "10.1.0.6/16")]
    {
        node.ip(&format!("link add {link} type veth peer name eth0 netns {}", pod.task));
        node.ip(&format!("link set {link} master br0 up"));
        pod.ip("link set eth0 address 0a:58:0a:01:00:05");
        pod.ip(&format!("address add {address} dev eth0"));
        pod.ip("link set eth0 up");
    }
    let reaches = |pod: &Namespace, mac: &str| {
        // Only one of the two may have the address at a time, and nobody remembers the old one.
        pod.ip(&format!("link set eth0 address {mac}"));
        node.ip("neighbour flush all");
        pod.run(|| {
            // Until the first answer, or for two seconds.
            let ping = ["-c1", "-w2", "-i0.2", "-q", "10.1.0.1"];
            let ping = Command::new("ping").args(ping).output();
            ping.unwrap().status.success()
        })
    };
    let (honest, foreign) = ("0a:58:0a:01:00:05", "0a:58:0a:01:00:77");
    free.ip("link set eth0 address 0a:58:0a:01:00:06");
    assert!(reaches(&guarded, foreign) && reaches(&guarded, honest), "the control");

    let wanted = antispoof(attachment("net", "c1"), "veth1", honest);
    node.run(move || {
        add(&wanted).unwrap();
        assert!(check(&wanted).unwrap().is_empty());
    });
    assert!(reaches(&guarded, honest));
    assert!(!reaches(&guarded, foreign));
    assert!(reaches(&free, foreign), "a link that is not guarded");

    node.run(|| {
        let counter = tool("nft", &["list", "counter", "bridge", "podwire", "foreign"]);
        assert!(!counter.contains("packets 0"), "what was dropped is counted: {counter}");
        del(&attachment("net", "c1"), None, Some(&"veth1".parse().unwrap())).unwrap();
        assert_eq!(tool("nft", &["list", "ruleset"]), "");
    });
    assert!(reaches(&guarded, "0a:58:0a:01:00:78"));
}
