//! Thousands of requests at once.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use kernel::fdb::{self, Entry};
use kernel::link::Link;
use kernel::neighbour::{self, Neighbour};
use kernel::route::{self, Route};
use kernel::{Look, MacAddr, Request, Seen, Socket, glance};

use super::{inside, tunnel, underlay};

/// More than any buffer of a socket holds the answers to.
const MANY: u16 = 5000;
const OURS: u8 = 112;

fn octets(n: u16) -> [u8; 2] {
    n.to_be_bytes()
}

/// An address in the n-th network.
fn host(n: u16, last: u8) -> IpAddr {
    let [high, low] = octets(n);
    Ipv4Addr::new(10, high, low, last).into()
}

fn network(n: u16) -> IpNetwork {
    IpNetwork::new(host(n, 0), 24).unwrap()
}

fn mac(n: u16) -> MacAddr {
    let [high, low] = octets(n);
    MacAddr([2, 0, 0, 1, high, low])
}

fn neighbour(n: u16) -> Neighbour {
    Neighbour { ip: network(n).ip(), mac: mac(n) }
}

fn entry(n: u16) -> Entry {
    let [high, low] = octets(n);
    Entry { mac: mac(n), vtep: Ipv4Addr::new(192, 0, high, low).into() }
}

fn to(n: u16) -> Route {
    Route {
        gw: Some(network(n).ip()),
        onlink: true,
        protocol: OURS,
        priority: Some(112),
        ..Route::to(network(n))
    }
}

fn all(make: impl Fn(u16) -> Request) -> Vec<Request> {
    (0..MANY).map(make).collect()
}

fn assert_done(outcomes: &[kernel::Result<()>]) {
    assert_eq!(outcomes.len(), usize::from(MANY) * 3);
    assert!(outcomes.iter().all(Result::is_ok), "{:?}", outcomes.iter().find(|o| o.is_err()));
}

fn requests(device: &Link) -> Vec<Request> {
    [
        all(|n| neighbour::replace(device, &neighbour(n))),
        all(|n| fdb::replace(device, &entry(n))),
        all(|n| route::replace(Some(device), &to(n))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn thousands_of_entries_are_set_listed_looked_up_and_removed_in_a_call_each() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let device = tunnel(&socket, &under, "vxlan.1", 1, "192.0.2.1");
        let many = usize::from(MANY);
        assert_done(&socket.run_all(&requests(&device)));
        // Once more changes nothing.
        assert_done(&socket.run_all(&requests(&device)));

        let mut neighbours = neighbour::list(&socket, device.index, false).unwrap();
        neighbours.sort_unstable();
        assert!(neighbours.into_iter().eq((0..MANY).map(neighbour)));
        let mut entries = fdb::list(&socket, device.index).unwrap();
        entries.sort_unstable();
        assert!(entries.into_iter().eq((0..MANY).map(entry)));
        let mut routes = route::of_protocol(&socket, false, OURS).unwrap();
        routes.sort_unstable_by_key(|installed| installed.route.dst);
        assert!(routes.iter().all(|installed| installed.link == Some(device.index)));
        assert!(
            routes
                .iter()
                .map(|installed| &installed.route)
                .eq((0..MANY).map(to).collect::<Vec<_>>().iter())
        );
        assert_eq!(netns.routes("-4", "main").len(), many + 1);

        let addresses: Vec<IpAddr> = (0..MANY).map(|n| host(n, 7)).collect();
        let found = route::look_up(&socket, &addresses);
        assert_eq!(found.len(), many);
        for (n, found) in (0..MANY).zip(found) {
            let found = found.unwrap().unwrap();
            let way = (found.dst, found.gw, found.link, found.protocol);
            assert_eq!(way, (network(n), Some(network(n).ip()), Some(device.index), OURS));
        }

        let gone: Vec<_> = [
            routes.iter().map(|installed| route::delete(installed, &device.name)).collect(),
            all(|n| fdb::delete(&device, &entry(n))),
            all(|n| neighbour::delete(&device, neighbour(n).ip)),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert_done(&socket.run_all(&gone));
        assert_eq!(neighbour::list(&socket, device.index, false).unwrap(), []);
        assert_eq!(fdb::list(&socket, device.index).unwrap(), []);
        assert_eq!(route::of_protocol(&socket, false, OURS).unwrap(), []);

        // Every one refused: as many answers as there are requests.
        let refused = socket.run_all(&gone);
        assert_eq!(refused.len(), many * 3);
        for (n, outcome) in refused.iter().enumerate() {
            let error = outcome.as_ref().unwrap_err();
            assert!(error.is_gone(), "{n}: {error}");
        }
        let error = refused[many + 3].as_ref().unwrap_err();
        assert_eq!(error.on, format!("{} behind {} of vxlan.1", mac(3), entry(3).vtep));
    });
}

#[test]
fn among_thousands_each_refusal_stands_at_its_request() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let device = tunnel(&socket, &under, "vxlan.1", 1, "192.0.2.1");
        let there = |n: u16| !n.is_multiple_of(3);
        let made: Vec<_> = (0..MANY)
            .filter(|n| there(*n))
            .map(|n| neighbour::replace(&device, &neighbour(n)))
            .collect();
        assert!(socket.run_all(&made).iter().all(Result::is_ok));
        let outcomes = socket.run_all(&all(|n| neighbour::delete(&device, neighbour(n).ip)));
        for (n, outcome) in (0..MANY).zip(outcomes) {
            assert_eq!(outcome.is_ok(), there(n), "{n}");
        }
    });
}

#[test]
fn thousands_of_looks_are_answered_in_order() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let looks: Vec<_> = (0..MANY)
            .map(|n| match n % 5 {
                0 => Look::Link(under.index),
                1 => Look::Link(1_000_000),
                2 => Look::Route("192.0.2.200".parse().unwrap()),
                3 => Look::Route("fd00:2::200".parse().unwrap()),
                _ => Look::Route("198.51.100.1".parse().unwrap()),
            })
            .collect();
        let seen = glance(&socket, &looks);
        assert_eq!(seen.len(), looks.len());
        for (n, seen) in seen.into_iter().enumerate() {
            match (n % 5, seen.unwrap()) {
                (0, Seen::Link(Some(link))) => assert_eq!(*link, under),
                (2 | 3, Seen::Route(Some(found))) => assert_eq!(found.link, Some(under.index)),
                (1, Seen::Link(None)) | (4, Seen::Route(None)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(glance(&socket, &[]).is_empty());
    });
}
