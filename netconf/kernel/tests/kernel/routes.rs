//! Routes that are replaced, removed, listed by owner and looked up.

use std::net::IpAddr;

use kernel::Socket;
use kernel::link::Link;
use kernel::route::{self, Installed, Kind, Lookup, Route};
use serde_json::{Value, json};

use super::{inside, ip, underlay};

const OURS: u8 = 112;

/// A peer's route: its network, its gateway, which no address of the link covers.
fn peer(dst: &str, gw: &str) -> Route {
    Route {
        gw: Some(gw.parse().unwrap()),
        onlink: true,
        protocol: OURS,
        priority: Some(112),
        mtu: Some(1400),
        ..Route::to(dst.parse().unwrap())
    }
}

fn blackhole(dst: &str) -> Route {
    Route {
        kind: Kind::Blackhole,
        protocol: OURS,
        priority: Some(1_048_576),
        ..Route::to(dst.parse().unwrap())
    }
}

fn through(link: &Link, route: Route) -> Installed {
    Installed { link: Some(link.index), route }
}

/// The routes to a network, as `ip` shows them.
fn shown(netns: &testkit::Netns, dst: &str) -> Vec<Value> {
    let family = if dst.contains(':') { "-6" } else { "-4" };
    netns.routes(family, "main").into_iter().filter(|route| route["dst"] == dst).collect()
}

const FAMILIES: [(&str, &str); 2] = [("10.1.2.0/24", "10.1.2.0"), ("fd00:1:2::/64", "fd00:1:2::")];

#[test]
fn a_route_is_made_and_read_as_it_was_ordered() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        for (dst, gw) in FAMILIES {
            let (way, hole) = (peer(dst, gw), blackhole(dst));
            for _ in 0..2 {
                socket.run(route::replace(Some(&under), &way)).unwrap();
                socket.run(route::replace(None, &hole)).unwrap();
                let shown = shown(netns, dst);
                assert_eq!(shown.len(), 2, "{shown:?}");
                for (key, wanted) in [
                    ("type", json!("unicast")),
                    ("gateway", json!(gw)),
                    ("dev", json!("u0")),
                    ("protocol", json!("112")),
                    ("metric", json!(112)),
                    ("flags", json!(["onlink"])),
                    ("metrics", json!([{"mtu": 1400}])),
                ] {
                    assert_eq!(shown[0][key], wanted, "{key}");
                }
                assert_eq!(
                    (&shown[1]["type"], &shown[1]["metric"]),
                    (&json!("blackhole"), &json!(1_048_576))
                );
                assert_eq!(shown[1]["protocol"], "112");
            }
            let ipv6 = way.dst.is_ipv6();
            let found = route::of_protocol(&socket, ipv6, OURS).unwrap();
            let wanted =
                [through(&under, way.clone()), Installed { link: None, route: hole.clone() }];
            assert_eq!(found, wanted);
            assert_eq!(route::through(&socket, ipv6, under.index).unwrap(), wanted[..1]);
            assert_eq!(route::of_protocol(&socket, ipv6, OURS + 1).unwrap(), []);
        }
    });
}

#[test]
fn what_is_listed_as_ours_is_of_our_protocol_in_main_and_has_one_hop() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        for command in [
            "route add 10.3.0.0/16 via 192.0.2.9",
            "route add 10.4.0.0/16 via 192.0.2.9 proto 113",
            "route add 10.5.0.0/16 via 192.0.2.9 proto 112 table 77",
            "route add 10.6.0.0/16 proto 112 nexthop via 192.0.2.8 nexthop via 192.0.2.9",
            "route add unreachable 10.7.0.0/16 proto 112",
            "-6 route add fd00:3::/64 via fd00:2::9",
            "-6 route add fd00:5::/64 via fd00:2::9 proto 112 table 77",
            "-6 route add fd00:6::/64 proto 112 nexthop via fd00:2::8 nexthop via fd00:2::9",
            "-6 route add unreachable fd00:7::/64 proto 112",
        ] {
            ip(netns, command);
        }
        assert_eq!(route::of_protocol(&socket, false, OURS).unwrap(), []);
        assert_eq!(route::of_protocol(&socket, true, OURS).unwrap(), []);
        let mut four = route::through(&socket, false, under.index).unwrap();
        four.sort_by_key(|installed| installed.route.dst);
        let told: Vec<_> =
            four.iter().map(|i| (i.route.dst.to_string(), i.route.protocol)).collect();
        assert_eq!(told, [("10.3.0.0/16".to_owned(), 3), ("10.4.0.0/16".to_owned(), 113)]);
        let six = route::through(&socket, true, under.index).unwrap();
        let told: Vec<_> = six.iter().map(|i| i.route.dst.to_string()).collect();
        assert_eq!(told, ["fd00:3::/64"]);
        assert_eq!(route::through(&socket, false, 1).unwrap(), []);
    });
}

#[test]
fn a_namespace_without_any_route_has_empty_lists() {
    let netns = testkit::Netns::bare();
    netns.enter(|| {
        let socket = Socket::open().unwrap();
        for ipv6 in [false, true] {
            assert_eq!(route::of_protocol(&socket, ipv6, OURS).unwrap(), []);
            assert_eq!(route::through(&socket, ipv6, 1).unwrap(), []);
            assert_eq!(route::through(&socket, ipv6, 1_000_000).unwrap(), []);
        }
        let nowhere = ["10.1.1.1", "fd00::1"].map(|ip| ip.parse().unwrap());
        for found in route::look_up(&socket, &nowhere) {
            assert_eq!(found.unwrap(), None);
        }
    });
}

#[test]
fn replace_touches_only_the_route_of_the_same_metric() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        for (dst, gw) in FAMILIES {
            let foreign = if dst.contains(':') { "fd00:2::9" } else { "192.0.2.9" };
            netns.run(&["ip", "route", "add", dst, "via", foreign, "metric", "50"]);
            netns.run(&["ip", "route", "add", dst, "via", foreign, "metric", "112"]);
            let wanted = peer(dst, gw);
            socket.run(route::replace(Some(&under), &wanted)).unwrap();
            let told: Vec<_> = shown(netns, dst)
                .iter()
                .map(|r| (r["metric"].clone(), r["gateway"].clone(), r["protocol"].clone()))
                .collect();
            let told_of =
                |metric: u32, gw: &str, protocol: &str| (json!(metric), json!(gw), json!(protocol));
            assert_eq!(told, [told_of(50, foreign, "boot"), told_of(112, gw, "112")]);
            // A blackhole takes the place of a way, and a way that of a blackhole.
            let hole = Route { priority: wanted.priority, ..blackhole(dst) };
            socket.run(route::replace(None, &hole)).unwrap();
            let ours = || route::of_protocol(&socket, wanted.dst.is_ipv6(), OURS).unwrap();
            assert_eq!(ours(), [Installed { link: None, route: hole }]);
            socket.run(route::replace(Some(&under), &wanted)).unwrap();
            assert_eq!(ours(), [through(&under, wanted)]);
        }
    });
}

#[test]
fn delete_removes_exactly_the_route_that_was_listed() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        for (dst, gw) in FAMILIES {
            let foreign = if dst.contains(':') { "fd00:2::9" } else { "192.0.2.9" };
            let way = Route { mtu: Some(1300), ..peer(dst, gw) };
            // What differs in one thing each: the metric, the protocol, the table, the kind.
            let others = [
                ["via", foreign, "metric", "113", "proto", "112", "table", "main"],
                ["via", foreign, "metric", "114", "proto", "boot", "table", "main"],
                ["via", foreign, "metric", "112", "proto", "112", "table", "77"],
            ];
            for other in others {
                netns.run(&[&["ip", "route", "add", dst], other.as_slice()].concat());
            }
            socket.run(route::replace(Some(&under), &way)).unwrap();
            let hole = Route { priority: way.priority, ..blackhole(dst) };
            let beside =
                ["ip", "route", "append", "blackhole", dst, "metric", "112", "proto", "112"];
            netns.run(&beside);
            let before = shown(netns, dst).len();
            assert_eq!(before, 4, "{:?}", shown(netns, dst));

            for wrong in [
                Route { protocol: 113, ..way.clone() },
                Route { priority: Some(115), ..way.clone() },
                Route { gw: Some(foreign.parse().unwrap()), ..way.clone() },
                Route { table: Some(78), ..way.clone() },
            ] {
                let error = socket.run(route::delete(&through(&under, wrong), "u0")).unwrap_err();
                assert!(error.is_gone(), "{error}");
            }
            let wrong = Installed { link: Some(1), route: way.clone() };
            assert!(socket.run(route::delete(&wrong, "lo")).unwrap_err().is_gone());
            assert_eq!(shown(netns, dst).len(), before);

            let kinds = || -> Vec<_> {
                let ours = route::of_protocol(&socket, way.dst.is_ipv6(), OURS).unwrap();
                ours.into_iter()
                    .filter(|i| i.route.priority == way.priority)
                    .map(|i| i.route.kind)
                    .collect()
            };
            let hole = Installed { link: None, route: hole };
            socket.run(route::delete(&hole, "u0")).unwrap();
            assert_eq!(kinds(), [Kind::Unicast]);
            let error = socket.run(route::delete(&hole, "u0")).unwrap_err();
            assert!(error.is_gone(), "{error}");
            netns.run(&beside);
            socket.run(route::delete(&through(&under, way.clone()), "u0")).unwrap();
            assert_eq!(kinds(), [Kind::Blackhole]);
            let error = socket.run(route::delete(&through(&under, way.clone()), "u0")).unwrap_err();
            assert!(error.is_gone(), "{error}");
            assert_eq!(shown(netns, dst).len(), before - 1);
        }
        assert_eq!((netns.routes("-4", "77").len(), netns.routes("-6", "77").len()), (1, 1));
    });
}

#[test]
fn a_route_that_the_kernel_refuses_is_named_with_its_link() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let unreachable = Route { onlink: false, ..peer("10.1.2.0/24", "10.1.2.0") };
        let error = socket.run(route::replace(Some(&under), &unreachable)).unwrap_err();
        assert_eq!(error.errno(), 101, "{error}");
        assert_eq!(error.on, "10.1.2.0/24 via 10.1.2.0 through u0");
        assert_eq!(error.ext_ack.as_deref(), Some("Nexthop has invalid gateway"));
    });
}

#[test]
fn a_look_up_tells_the_link_the_gateway_and_what_becomes_of_packets() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        for command in [
            "route add 10.5.0.0/16 via 192.0.2.9 proto 112",
            "route add 10.6.0.0/16 nexthop via 192.0.2.8 dev u0 nexthop via 192.0.2.9 dev u0",
            "route add blackhole 10.7.0.0/16 proto 112",
            "route add unreachable 10.8.0.0/16",
            "route add prohibit 10.9.0.0/16",
            "-6 route add fd00:5::/64 via fd00:2::9 proto 112",
            "-6 route add fd00:6::/64 nexthop via fd00:2::8 dev u0 nexthop via fd00:2::9 dev u0",
            "-6 route add blackhole fd00:7::/64 proto 112",
            "-6 route add unreachable fd00:8::/64",
            "-6 route add prohibit fd00:9::/64",
        ] {
            ip(netns, command);
        }
        let way = |dst: &str, gw: Option<&str>, protocol: u8| {
            let gw = gw.map(|gw| gw.parse().unwrap());
            let (kind, link) = (Kind::Unicast, Some(under.index));
            Some(Lookup { kind, link, gw, dst: dst.parse().unwrap(), protocol })
        };
        let local = |dst: &str, link: u32| {
            let dst = dst.parse().unwrap();
            Some(Lookup { kind: Kind::Local, link: Some(link), gw: None, dst, protocol: 2 })
        };
        let cases = [
            ("192.0.2.200", way("192.0.2.0/24", None, 2)),
            ("10.5.1.1", way("10.5.0.0/16", Some("192.0.2.9"), 112)),
            ("10.6.1.1", way("10.6.0.0/16", Some("192.0.2.8"), 3)),
            ("192.0.2.1", local("192.0.2.1/32", under.index)),
            ("127.0.0.1", local("127.0.0.1/32", 1)),
            ("10.7.1.1", None),
            ("10.8.1.1", None),
            ("10.9.1.1", None),
            ("198.51.100.1", None),
            ("fd00:2::200", way("fd00:2::/64", None, 2)),
            ("fd00:5::1", way("fd00:5::/64", Some("fd00:2::9"), 112)),
            ("fd00:2::1", local("fd00:2::1/128", under.index)),
            ("::1", local("::1/128", 1)),
            ("fd00:7::1", None),
            ("fd00:8::1", None),
            ("fd00:9::1", None),
            ("2001:db8::1", None),
        ];
        let addresses: Vec<IpAddr> = cases.iter().map(|(ip, _)| ip.parse().unwrap()).collect();
        let found = route::look_up(&socket, &addresses);
        assert_eq!(found.len(), cases.len());
        for ((address, wanted), found) in cases.into_iter().zip(found) {
            assert_eq!(found.unwrap(), wanted, "{address}");
        }
        // Of two hops the kernel takes either.
        let found = route::look_up(&socket, &["fd00:6::1".parse().unwrap()]).remove(0).unwrap();
        let either = ["fd00:2::8", "fd00:2::9"].map(|gw| way("fd00:6::/64", Some(gw), 3));
        assert!(either.contains(&found), "{found:?}");
        let broadcast = route::look_up(&socket, &["192.0.2.255".parse().unwrap()]).remove(0);
        assert_eq!(broadcast.unwrap().unwrap().kind, Kind::Other);
        assert!(route::look_up(&socket, &[]).is_empty());
    });
}
