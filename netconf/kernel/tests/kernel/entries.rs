//! Neighbours and FDB entries.

use std::net::IpAddr;

use kernel::fdb::{self, Entry};
use kernel::neighbour::{self, Neighbour};
use kernel::{MacAddr, Socket, link};
use serde_json::Value;

use super::{inside, ip, mac, tunnel, underlay};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn neighbours_are_set_changed_listed_and_removed() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let device = tunnel(&socket, &under, "vxlan.1", 1, "192.0.2.1");
        let other = tunnel(&socket, &under, "vxlan.2", 2, "192.0.2.1");
        for (family, wanted) in [("-4", "10.1.2.0"), ("-6", "fd00:1:2::")] {
            let ip = address(wanted);
            let list = || neighbour::list(&socket, device.index, ip.is_ipv6()).unwrap();
            assert_eq!(list(), []);
            for mac in [mac(1), mac(2), mac(2)] {
                socket.run(neighbour::replace(&device, &Neighbour { ip, mac })).unwrap();
                let shown =
                    netns.ip(&[family, "neigh", "show", "dev", "vxlan.1", "nud", "permanent"]);
                assert_eq!(shown.as_array().unwrap().len(), 1);
                assert_eq!(
                    (&shown[0]["dst"], &shown[0]["lladdr"]),
                    (&wanted.into(), &mac.to_string().into())
                );
                assert_eq!(list(), [Neighbour { ip, mac }]);
            }
            // Those of others: another link, one that ages, one that the kernel made for a group.
            let [aging, far] =
                if ip.is_ipv6() { ["fd00::1", "fd00::2"] } else { ["10.0.0.1", "10.0.0.2"] };
            netns.run(&[
                "ip",
                "neigh",
                "add",
                aging,
                "lladdr",
                "02:00:00:00:00:77",
                "dev",
                "vxlan.1",
                "nud",
                "reachable",
            ]);
            netns.run(&[
                "ip",
                "neigh",
                "add",
                far,
                "lladdr",
                "02:00:00:00:00:78",
                "dev",
                "vxlan.2",
                "nud",
                "permanent",
            ]);
            assert_eq!(list(), [Neighbour { ip, mac: mac(2) }]);
            assert_eq!(neighbour::list(&socket, other.index, ip.is_ipv6()).unwrap().len(), 1);

            socket.run(neighbour::delete(&device, ip)).unwrap();
            assert_eq!(list(), []);
            let error = socket.run(neighbour::delete(&device, ip)).unwrap_err();
            assert!(error.is_gone(), "{error}");
            assert_eq!(error.on, format!("{ip} of vxlan.1"));
        }
    });
}

/// The entries of a device that lead to a VTEP, as `bridge` shows them.
fn shown(netns: &testkit::Netns, device: &str) -> Vec<(String, String)> {
    let entries = netns.bridge(&["fdb", "show", "dev", device]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = entries.as_array().unwrap().iter().filter(|entry| entry["dst"].is_string());
    entries.map(|entry| (text(&entry["mac"]), text(&entry["dst"]))).collect()
}

#[test]
fn fdb_entries_are_set_led_elsewhere_listed_and_removed() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let cases = [
            ("vxlan.1", "192.0.2.1", ["192.0.2.2", "192.0.2.3"]),
            ("vxlan-v6.1", "fd00:2::1", ["fd00:2::2", "fd00:2::3"]),
        ];
        for (name, local, vteps) in cases {
            let device = tunnel(&socket, &under, name, 1, local);
            let list = || fdb::list(&socket, device.index).unwrap();
            for vtep in [vteps[0], vteps[1], vteps[1]] {
                let entry = Entry { mac: mac(1), vtep: address(vtep) };
                socket.run(fdb::replace(&device, &entry)).unwrap();
                assert_eq!(shown(netns, name), [(entry.mac.to_string(), vtep.to_owned())]);
                assert_eq!(list(), [entry]);
            }
            let now = Entry { mac: mac(1), vtep: address(vteps[1]) };
            // A stale idea of where it leads removes nothing.
            let stale = Entry { vtep: address(vteps[0]), ..now };
            socket.run(fdb::delete(&device, &stale)).unwrap();
            assert_eq!(list(), [now]);
            socket.run(fdb::delete(&device, &now)).unwrap();
            assert_eq!((list(), shown(netns, name)), (vec![], vec![]));
            let error = socket.run(fdb::delete(&device, &now)).unwrap_err();
            assert!(error.is_gone(), "{error}");
            assert_eq!(error.on, format!("{} behind {} of {name}", now.mac, now.vtep));
        }
    });
}

#[test]
fn a_list_of_fdb_entries_holds_only_permanent_ones_of_the_device_itself() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let device = tunnel(&socket, &under, "vxlan.1", 1, "192.0.2.1");
        tunnel(&socket, &under, "vxlan.2", 2, "192.0.2.1");
        for (command, what) in [
            ("02:00:00:00:00:11 dev vxlan.1 dst 192.0.2.8 self dynamic", "a learned one"),
            ("02:00:00:00:00:12 dev vxlan.2 dst 192.0.2.8 self permanent", "another device's"),
        ] {
            let command: Vec<_> =
                "bridge fdb append".split(' ').chain(command.split(' ')).collect();
            netns.run(&command);
            assert_eq!(fdb::list(&socket, device.index).unwrap(), [], "{what}");
        }
        socket.run(link::create_bridge("br0", mac(1), None, false)).unwrap();
        ip(netns, "link set vxlan.1 master br0");
        netns.run(&["bridge", "fdb", "add", "02:00:00:00:00:13", "dev", "vxlan.1", "master"]);
        assert_eq!(fdb::list(&socket, device.index).unwrap(), []);
        let entry = Entry { mac: MacAddr([2, 0, 0, 0, 0, 0x14]), vtep: address("192.0.2.9") };
        socket.run(fdb::replace(&device, &entry)).unwrap();
        assert_eq!(fdb::list(&socket, device.index).unwrap(), [entry]);
        // Default destinations, of which there may be several.
        let defaults = ["192.0.2.7", "192.0.2.8"]
            .map(|vtep| Entry { mac: MacAddr([0; 6]), vtep: address(vtep) });
        for Entry { vtep, .. } in defaults {
            let zero = "00:00:00:00:00:00";
            netns.run(&[
                "bridge",
                "fdb",
                "append",
                zero,
                "dev",
                "vxlan.1",
                "dst",
                &vtep.to_string(),
            ]);
        }
        let mut all = fdb::list(&socket, device.index).unwrap();
        all.sort();
        assert_eq!(all, [defaults[0], defaults[1], entry]);
        for one in defaults {
            socket.run(fdb::delete(&device, &one)).unwrap();
        }
        assert_eq!(fdb::list(&socket, device.index).unwrap(), [entry]);
    });
}
