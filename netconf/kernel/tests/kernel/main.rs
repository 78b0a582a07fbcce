//! The kernel crate against the kernel, judged by `ip`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod entries;
mod many;
mod moves;
mod routes;
mod tunnels;

use std::sync::atomic::{AtomicBool, Ordering};

use kernel::link::{self, Link, Veth};
use kernel::{MacAddr, Netns, Socket, address, route, sysctl};

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn veth<'a>(name: &'a str, peer_name: &'a str) -> Veth<'a> {
    Veth { name, mac: None, master: None, mtu: None, peer_name, peer_mac: None, peer_netns: None }
}

/// Runs the test inside a namespace of its own.
fn inside(test: impl FnOnce(&testkit::Netns) + Send) {
    let netns = testkit::Netns::new();
    netns.enter(|| test(&netns));
}

/// A link that leads nowhere, but is up and has the addresses 192.0.2.1/24 and fd00:2::1/64.
fn underlay(netns: &testkit::Netns, socket: &Socket) -> Link {
    netns.run(&["ip", "link", "add", "u0", "type", "veth", "peer", "name", "u1"]);
    for command in [
        "ip link set u1 up",
        "ip link set u0 up",
        "ip addr add 192.0.2.1/24 dev u0",
        "ip addr add fd00:2::1/64 dev u0 nodad",
    ] {
        netns.run(&command.split(' ').collect::<Vec<_>>());
    }
    link::get(socket, "u0").unwrap().unwrap()
}

/// A VXLAN device over it, up.
fn tunnel(socket: &Socket, underlay: &Link, name: &str, vni: u32, local: &str) -> Link {
    let device = link::Vxlan {
        vni,
        underlay: Some(underlay.index),
        local: Some(local.parse().unwrap()),
        port: 8472,
        ..link::Vxlan::default()
    };
    socket.run(link::create_vxlan(name, &device, mac(0x66), None)).unwrap();
    socket.run(link::disable_address_generation(name)).unwrap();
    let link = link::get(socket, name).unwrap().unwrap();
    socket.run(link::set_up(link.index, name)).unwrap();
    link
}

fn ip(netns: &testkit::Netns, command: &str) {
    netns.run(&[&["ip"], command.split(' ').collect::<Vec<_>>().as_slice()].concat());
}

#[test]
fn a_refusal_names_operation_object_errno_and_the_kernels_words() {
    inside(|_| {
        let socket = Socket::open().unwrap();
        let absurd = link::create_bridge("br0", mac(1), Some(u32::MAX / 2), false);
        let error = socket.run(absurd).unwrap_err();
        assert_eq!(error.errno(), 22);
        assert_eq!((error.op.as_str(), error.on.as_str()), ("create the bridge", "br0"));
        assert_eq!(error.ext_ack.as_deref(), Some("mtu greater than device maximum"));
        let shown = cni::Error::from(error);
        assert_eq!(shown.code, cni::Code::KERNEL);
        assert!(shown.details.contains("mtu greater than device maximum"), "{shown:?}");
    });
}

#[test]
fn requests_of_one_datagram_are_answered_one_by_one_and_in_order() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let outcomes = socket.run_all(&[
            link::create_bridge("a", mac(1), None, false),
            link::create_bridge("a", mac(2), None, false),
            link::delete_by_name("nobody"),
            link::create_bridge("b", mac(3), Some(1400), false),
        ]);
        let errnos: Vec<_> =
            outcomes.iter().map(|o| o.as_ref().err().map_or(0, kernel::Error::errno)).collect();
        assert_eq!(errnos, [0, 17, 19, 0]);
        assert!(outcomes[1].as_ref().unwrap_err().is_exists());
        assert!(outcomes[2].as_ref().unwrap_err().is_gone());
        let made = netns.link("b").unwrap();
        assert_eq!((&made["mtu"], &made["address"]), (&1400.into(), &"02:00:00:00:00:03".into()));
        assert!(socket.run_all(&[]).is_empty());
    });
}

#[test]
fn a_list_is_whole_while_links_come_and_go() {
    let node = testkit::Netns::new();
    let stop = AtomicBool::new(false);
    node.enter(|| {
        let socket = Socket::open().unwrap();
        for n in 0..60 {
            socket.run(link::create_veth(&veth(&format!("s{n}"), &format!("t{n}")))).unwrap();
        }
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            node.enter(|| {
                let socket = Socket::open().unwrap();
                while !stop.load(Ordering::Relaxed) {
                    socket.run(link::create_bridge("busy", mac(9), None, false)).unwrap();
                    socket.run(link::delete_by_name("busy")).unwrap();
                }
            });
        });
        node.enter(|| {
            let socket = Socket::open().unwrap();
            let mut given_up = 0;
            for _ in 0..40 {
                match link::list(&socket) {
                    Ok(links) => {
                        let stable = links.iter().filter(|l| l.kind == "veth").count();
                        assert_eq!(stable, 120);
                    }
                    // What must never happen is a list with holes; a refusal is honest.
                    Err(e) => {
                        assert_eq!(e.errno(), 4, "{e}");
                        given_up += 1;
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(given_up < 40, "every list was given up");
        });
    });
}

#[test]
fn a_veth_is_born_in_its_namespace_with_name_mac_and_mtu() {
    let (node, pod) = (testkit::Netns::new(), testkit::Netns::new());
    node.enter(|| {
        let socket = Socket::open().unwrap();
        let netns = Netns::find(pod.path().as_ref()).unwrap().unwrap();
        socket.run(link::create_bridge("br0", mac(1), None, false)).unwrap();
        let bridge = link::get(&socket, "br0").unwrap().unwrap();
        let wanted = Veth {
            master: Some(bridge.index),
            mtu: Some(1300),
            peer_mac: Some(mac(7)),
            peer_netns: Some(&netns),
            ..veth("veth0", "eth0")
        };
        socket.run(link::create_veth(&wanted)).unwrap();
        let found = link::get(&socket, "veth0").unwrap().unwrap();
        assert_eq!((found.kind.as_str(), found.master), ("veth", Some(bridge.index)));
        assert_eq!(link::get_by_index(&socket, found.index).unwrap().unwrap(), found);
    });
    assert_eq!(node.link("veth0").unwrap()["master"], "br0");
    assert!(node.link("veth0").unwrap()["flags"].as_array().unwrap().contains(&"UP".into()));
    let inner = pod.link("eth0").unwrap();
    assert_eq!((&inner["mtu"], &inner["address"]), (&1300.into(), &"02:00:00:00:00:07".into()));
}

#[test]
fn a_socket_stays_in_its_namespace_and_the_thread_comes_home() {
    let (node, pod) = (testkit::Netns::new(), testkit::Netns::new());
    node.enter(|| {
        let home = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let before = home();
        let netns = Netns::find(pod.path().as_ref()).unwrap().unwrap();
        let there = netns.enter(|| {
            sysctl::write("ipv4/conf/lo/arp_notify", "1")?;
            Ok(home())
        });
        assert_ne!(there.unwrap(), before);
        let socket = netns.socket().unwrap();
        assert_eq!(home(), before);
        socket.run(link::create_bridge("inner", mac(1), None, false)).unwrap();
        let refused = netns.enter(|| sysctl::write("ipv4/conf/nobody/arp_notify", "1"));
        assert!(refused.unwrap_err().is_gone());
        assert_eq!(home(), before);
        let panicked = std::panic::catch_unwind(|| netns.enter::<()>(|| panic!("on the way")));
        assert!(panicked.is_err());
        assert_eq!(home(), before);
        let trial = Netns::trial(|| Ok((home(), Socket::open()?))).unwrap();
        assert_eq!(home(), before);
        assert_ne!(trial.0, before);
    });
    assert!(pod.link("inner").is_some() && node.link("inner").is_none());
    assert_eq!(pod.sysctl("net/ipv4/conf/lo/arp_notify"), "1");
    assert_eq!(node.sysctl("net/ipv4/conf/lo/arp_notify"), "0");
}

#[test]
fn only_a_network_namespace_is_one() {
    assert!(Netns::find("/nowhere/at/all".as_ref()).unwrap().is_none());
    assert!(Netns::find("/proc/self/ns/uts".as_ref()).unwrap().is_none());
    assert!(Netns::find("/etc/passwd".as_ref()).unwrap().is_none());
    assert!(Netns::find("/proc/self/ns/net".as_ref()).unwrap().is_some());
}

#[test]
fn addresses_and_routes_are_read_as_they_were_written() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let bridge = link::create_bridge("br0", mac(1), None, false);
        // With a port that is up the bridge has a carrier, and IPv6 routes hold.
        socket.run(bridge).unwrap();
        let bridge = link::get(&socket, "br0").unwrap().unwrap();
        let index = bridge.index;
        socket.run(link::create_veth(&Veth { master: Some(index), ..veth("v0", "v1") })).unwrap();
        let far = link::get(&socket, "v1").unwrap().unwrap();
        socket.run(link::set_up(far.index, "v1")).unwrap();
        link::wait_until_up(&socket, "v0", std::time::Duration::from_secs(5)).unwrap();

        let options = address::Options { no_dad: true, no_prefix_route: true };
        let four: ipnetwork::IpNetwork = "10.1.2.3/24".parse().unwrap();
        let six: ipnetwork::IpNetwork = "fd00::3/64".parse().unwrap();
        for wanted in [four, six] {
            socket.run(address::add(&bridge, wanted, options)).unwrap();
            let again = socket.run(address::add(&bridge, wanted, options)).unwrap_err();
            assert!(again.is_exists());
            assert_eq!(again.on, format!("{wanted} to br0"));
            let listed = address::list(&socket, index, wanted.is_ipv6()).unwrap();
            let found = listed.iter().find(|a| a.address == wanted).unwrap();
            assert!(found.global && !found.tentative && !found.dad_failed);
        }
        assert_eq!(netns.addresses("br0")[..2], ["10.1.2.3/24", "fd00::3/64"]);

        let on_link = |dst: &str, src: &str| route::Route {
            src: Some(src.parse().unwrap()),
            scope: route::SCOPE_LINK,
            ..route::Route::to(dst.parse().unwrap())
        };
        let behind = route::Route {
            gw: Some("10.9.0.1".parse().unwrap()),
            mtu: Some(1300),
            advmss: Some(1200),
            priority: Some(77),
            table: Some(1234),
            ..route::Route::to("10.20.0.0/16".parse().unwrap())
        };
        let routes =
            [on_link("10.9.0.1/32", "10.1.2.3"), on_link("fd09::/64", "fd00::3"), behind.clone()];
        let outcomes =
            socket.run_all(&routes.iter().map(|r| route::add(&bridge, r)).collect::<Vec<_>>());
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert!(socket.run(route::add(&bridge, &routes[0])).unwrap_err().is_exists());
        let shown = netns.run(&["ip", "route", "show", "table", "1234"]);
        assert_eq!(
            shown.split_whitespace().collect::<Vec<_>>().join(" "),
            "10.20.0.0/16 via 10.9.0.1 dev br0 metric 77 mtu 1300 advmss 1200"
        );
        assert_eq!(route::list(&socket, index, false, 1234).unwrap(), [behind]);
        assert_eq!(route::list(&socket, index, false, 4321).unwrap(), []);
        let six = route::list(&socket, index, true, 254).unwrap();
        assert!(six.iter().any(|r| r.dst == routes[1].dst && r.src == routes[1].src), "{six:?}");

        socket.run(address::delete(&bridge, four)).unwrap();
        assert!(socket.run(address::delete(&bridge, four)).unwrap_err().is_gone());
    });
}

#[test]
fn a_link_that_stays_down_is_given_up_and_one_that_is_gone_is_told() {
    inside(|_| {
        let socket = Socket::open().unwrap();
        socket.run(link::create_veth(&veth("v0", "v1"))).unwrap();
        let patience = std::time::Duration::from_millis(30);
        let error = link::wait_until_up(&socket, "v0", patience).unwrap_err();
        assert_eq!(error.errno(), 110, "{error}");
        assert_eq!(link::wait_until_up(&socket, "nobody", patience).unwrap_err().errno(), 19);
    });
}
