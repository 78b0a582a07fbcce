//! VXLAN and IPIP devices.

use kernel::link::{self, Ipip, Vxlan};
use kernel::{Socket, offload};
use serde_json::{Value, json};

use super::{inside, ip, mac, tunnel, underlay};

fn vxlan(socket: &Socket, name: &str) -> Vxlan {
    link::get(socket, name).unwrap().unwrap().vxlan.unwrap()
}

/// What `ip` says of a device, as far as `wanted` asks for it.
fn assert_shown(netns: &testkit::Netns, name: &str, wanted: &Value) {
    let shown = netns.link(name).unwrap();
    let data = &shown["linkinfo"]["info_data"];
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&data[key], value, "{key} of {name}: {data}");
    }
}

#[test]
fn a_vxlan_device_is_made_and_read_as_it_was_ordered() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        for (name, local, key) in
            [("vxlan.1", "192.0.2.1", "local"), ("vxlan-v6.1", "fd00:2::1", "local6")]
        {
            let wanted = Vxlan {
                vni: 1,
                underlay: Some(under.index),
                local: Some(local.parse().unwrap()),
                port: 8472,
                udp_checksum: true,
                ..Vxlan::default()
            };
            socket.run(link::create_vxlan(name, &wanted, mac(5), Some(1400))).unwrap();
            let shown = netns.link(name).unwrap();
            assert_eq!(
                (&shown["mtu"], &shown["address"]),
                (&json!(1400), &json!("02:00:00:00:00:05"))
            );
            assert!(!shown["flags"].as_array().unwrap().contains(&json!("UP")));
            let data = json!({"id": 1, "link": "u0", key: local, "port": 8472, "learning": false, "udp_csum": true});
            assert_shown(netns, name, &data);
            let found = link::get(&socket, name).unwrap().unwrap();
            assert_eq!((found.kind.as_str(), found.vxlan), ("vxlan", Some(wanted)));
        }
    });
}

#[test]
fn every_switch_of_a_vxlan_device_is_sent_and_read() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let all = Vxlan {
            vni: 0x00ff_ffff,
            underlay: Some(under.index),
            local: None,
            group: Some("192.0.2.9".parse().unwrap()),
            port: 4789,
            ttl: 9,
            learning: true,
            gbp: true,
            external: false,
            proxy: true,
            l2miss: true,
            l3miss: true,
            udp_checksum: true,
        };
        socket.run(link::create_vxlan("every", &all, mac(1), None)).unwrap();
        assert_eq!(vxlan(&socket, "every"), all);
        assert_shown(
            netns,
            "every",
            &json!({"id": 0x00ff_ffff, "remote": "192.0.2.9", "port": 4789, "learning": true, "ttl": 9,
                "proxy": true, "l2miss": true, "l3miss": true}),
        );
        // Older versions of ip show true there, newer ones null.
        let shown = netns.link("every").unwrap();
        let data = shown["linkinfo"]["info_data"].as_object().unwrap();
        assert!(data.contains_key("gbp") && data["gbp"] != false, "{data:?}");
        let external = Vxlan { external: true, port: 4790, udp_checksum: true, ..Vxlan::default() };
        socket.run(link::create_vxlan("external", &external, mac(2), None)).unwrap();
        assert_eq!(vxlan(&socket, "external"), external);
        assert_shown(netns, "external", &json!({"external": true, "learning": false}));
        // As others make them.
        ip(netns, "link add six type vxlan id 7 dev u0 group ff05::100 dstport 1 noudpcsum");
        let six = vxlan(&socket, "six");
        assert_eq!((six.group, six.udp_checksum), (Some("ff05::100".parse().unwrap()), false));
    });
}

#[test]
fn a_vxlan_device_is_changed_in_place() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let made = tunnel(&socket, &under, "vxlan.1", 1, "192.0.2.1");
        let far = link::get(&socket, "u1").unwrap().unwrap();
        let wanted = Vxlan {
            underlay: Some(far.index),
            local: Some("192.0.2.7".parse().unwrap()),
            learning: true,
            ..made.vxlan.clone().unwrap()
        };
        socket.run(link::change_vxlan(made.index, "vxlan.1", &wanted)).unwrap();
        assert_shown(
            netns,
            "vxlan.1",
            &json!({"link": "u1", "local": "192.0.2.7", "learning": true}),
        );
        let found = link::get(&socket, "vxlan.1").unwrap().unwrap();
        assert_eq!(
            (found.index, found.mac, &found.vxlan),
            (made.index, made.mac, &Some(wanted.clone()))
        );

        let other = Vxlan { vni: 2, ..wanted.clone() };
        let error = socket.run(link::change_vxlan(made.index, "vxlan.1", &other)).unwrap_err();
        assert_eq!(error.ext_ack.as_deref(), Some("Cannot change VNI"), "{error}");
        let other = Vxlan { local: Some("fd00:2::1".parse().unwrap()), ..wanted.clone() };
        assert!(socket.run(link::change_vxlan(made.index, "vxlan.1", &other)).is_err());
        assert_eq!(vxlan(&socket, "vxlan.1"), wanted);
    });
}

#[test]
fn a_second_vxlan_device_of_one_identifier_is_refused_in_the_kernels_words() {
    testkit::need!(Vxlan);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let first = tunnel(&socket, &under, "vxlan.1", 1, "192.0.2.1").vxlan.unwrap();
        let again = link::create_vxlan("other", &first, mac(9), None);
        let error = socket.run(again).unwrap_err();
        assert!(error.is_exists());
        assert_eq!(error.on, "other");
        let words = error.ext_ack.unwrap();
        assert!(words.contains("VXLAN device with the specified VNI already exists"), "{words}");
    });
}

#[test]
fn a_link_without_address_generation_has_no_link_local_address() {
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let made = socket.run_all(&[
            link::create_veth(&super::veth("v0", "v1")),
            link::disable_address_generation("v1"),
        ]);
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        for (name, quiet) in [("v0", false), ("v1", true)] {
            let found = link::get(&socket, name).unwrap().unwrap();
            assert_eq!(found.no_address_generation, quiet, "{name}");
            socket.run(link::set_up(found.index, name)).unwrap();
            link::wait_until_up(&socket, name, std::time::Duration::from_secs(5)).ok();
        }
        let locals = |name: &str| {
            netns.ip(&["-6", "addr", "show", "dev", name]).to_string().contains("fe80:")
        };
        link::wait_until_up(&socket, "v1", std::time::Duration::from_secs(5)).unwrap();
        assert!(locals("v0") && !locals("v1"));
        assert_eq!(netns.link("v1").unwrap()["inet6_addr_gen_mode"], "none");
        netns.run(&["ip", "link", "set", "v0", "mtu", "1200"]);
        let small = link::get(&socket, "v0").unwrap().unwrap();
        assert!(small.no_address_generation, "a link that is too small for IPv6 makes none either");
    });
}

#[test]
fn the_checksum_offload_of_a_tunnel_device_is_read_and_set() {
    testkit::need!(Vxlan, Ethtool);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        tunnel(&socket, &under, "vxlan.1", 1, "192.0.2.1");
        let shown = || {
            let text = netns.run(&["ethtool", "-k", "vxlan.1"]);
            text.lines().any(|line| line == "tx-checksumming: on")
        };
        for on in [true, false, false, true] {
            offload::set_transmit_checksum("vxlan.1", on).unwrap();
            assert_eq!((offload::transmit_checksum("vxlan.1").unwrap(), shown()), (on, on));
        }
        for nobody in ["nobody", "a-name-that-no-link-can-have"] {
            let error = offload::transmit_checksum(nobody).unwrap_err();
            assert!(error.is_gone() && error.on == nobody, "{error}");
            assert!(offload::set_transmit_checksum(nobody, false).unwrap_err().is_gone());
        }
    });
}

#[test]
fn an_ipip_device_is_made_changed_and_read() {
    testkit::need!(Ipip);
    inside(|netns| {
        let socket = Socket::open().unwrap();
        let under = underlay(netns, &socket);
        let wanted = Ipip {
            local: Some("192.0.2.1".parse().unwrap()),
            remote: None,
            underlay: None,
            path_mtu_discovery: true,
            ttl: 0,
            external: false,
        };
        socket.run(link::create_ipip("ipip1", &wanted, Some(1400))).unwrap();
        let read = |name: &str| link::get(&socket, name).unwrap().unwrap();
        let found = read("ipip1");
        assert_eq!(
            (found.kind.as_str(), found.mtu, &found.ipip),
            ("ipip", 1400, &Some(wanted.clone()))
        );
        assert_shown(
            netns,
            "ipip1",
            &json!({"proto": "ipip", "local": "192.0.2.1", "remote": "any", "pmtudisc": true}),
        );
        let again = socket.run(link::create_ipip("twin", &wanted, None)).unwrap_err();
        assert!(again.is_exists(), "{again}");

        let changed = Ipip {
            local: Some("192.0.2.7".parse().unwrap()),
            underlay: Some(under.index),
            path_mtu_discovery: false,
            ..wanted
        };
        socket.run(link::change_ipip(found.index, "ipip1", &changed)).unwrap();
        assert_eq!(read("ipip1").ipip, Some(changed.clone()));
        let data = json!({"local": "192.0.2.7", "remote": "any", "link": "u0", "pmtudisc": false});
        assert_shown(netns, "ipip1", &data);
        let point_to_point = Ipip { remote: Some("192.0.2.9".parse().unwrap()), ..changed };
        let error = socket.run(link::change_ipip(found.index, "ipip1", &point_to_point));
        assert_eq!(error.unwrap_err().errno(), 22);
        let point_to_point = Ipip { path_mtu_discovery: true, ttl: 9, ..point_to_point };
        socket.run(link::create_ipip("ipip2", &point_to_point, None)).unwrap();
        assert_eq!(read("ipip2").ipip, Some(point_to_point));
        assert_shown(netns, "ipip2", &json!({"remote": "192.0.2.9", "ttl": 9}));

        let external = Ipip { external: true, path_mtu_discovery: true, ..Ipip::default() };
        socket.run(link::create_ipip("ext", &external, None)).unwrap();
        assert!(read("ext").ipip.unwrap().external);
        // The device that the module makes in each namespace.
        let fallback = read("tunl0");
        assert_eq!((fallback.kind.as_str(), fallback.ipip.unwrap().local), ("ipip", None));
    });
}
