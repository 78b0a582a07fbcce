//! The commands by which changes are shown, given to a shell, and the requests, given to the kernel:
//! both make the same, judged by `ip` and `bridge`.

use ipnetwork::IpNetwork;
use kernel::{Socket, address, fdb, link, neighbour, route};
use peers::{Backend, Change, Families, Have, Plan, Reach, Tunnel, difference};
use serde_json::{Value, json};
use testkit::Netns;

use crate::sample::{UNDERLAY, facts, file, fleet, net, node, options, parse, vxlan};
use crate::world::World;

/// A node with an underlay and both tunnel devices.
fn node_with_devices(backend: &Backend) -> Netns {
    let netns = Netns::new();
    let [v4, v6] = [false, true].map(|ipv6| backend.device(ipv6).unwrap());
    let vxlan = "type vxlan id 1 dev eth0 dstport 8472 nolearning local";
    for line in [
        format!("ip link add eth0 index {UNDERLAY} type veth peer name other index 41"),
        "ip addr add 192.168.2.1/24 dev eth0".to_owned(),
        "ip addr add fd00:2::1/64 dev eth0 nodad".to_owned(),
        "ip link set other up".to_owned(),
        "ip link set eth0 up".to_owned(),
        format!("ip link add name {v4} index 10 {vxlan} 192.168.2.1"),
        format!("ip link add name {v6} index 11 {vxlan} fd00:2::1"),
        format!("ip link set dev {v4} addrgenmode none"),
        format!("ip link set dev {v6} addrgenmode none"),
        format!("ip link set dev {v4} up"),
        format!("ip link set dev {v6} up"),
    ] {
        netns.run(&line.split(' ').collect::<Vec<_>>());
    }
    netns
}

/// What of the node changes, as other tools see it.
fn state(netns: &Netns, backend: &Backend) -> Value {
    let sorted = |list: Value| {
        let mut list = list.as_array().unwrap().clone();
        list.sort_by_key(Value::to_string);
        list
    };
    let device = |ipv6| {
        let name = backend.device(ipv6).unwrap().as_str();
        let permanent = |entry: &Value| entry["state"] == "permanent";
        let mut fdb = sorted(netns.bridge(&["fdb", "show", "dev", name]));
        fdb.retain(permanent);
        json!({
            "addresses": netns.addresses(name),
            "neighbours": sorted(netns.ip(&["neigh", "show", "dev", name, "nud", "permanent"])),
            "fdb": fdb,
        })
    };
    let routes = |family| {
        let mut routes = netns.routes(family, "main");
        routes.retain(|route| route["protocol"] != "kernel");
        routes.sort_by_key(Value::to_string);
        routes
    };
    json!([device(false), device(true), routes("-4"), routes("-6")])
}

/// The way there and the way back again: everything made, some of it changed, all of it removed.
fn plans(backend: &Backend) -> Vec<Plan> {
    let options = options(backend.clone());
    let mut moved = node(2);
    moved["nodeIPs"] = json!(["192.168.2.22", "fd00:2::22"]);
    moved["vtepMAC"] = json!("66:00:00:00:00:22");
    let mut elsewhere = node(1);
    elsewhere["podCIDRs"] = json!(["10.244.9.0/24", "fd00:244:9::/64"]);
    let fleets = [
        fleet(node(1), vec![node(2), node(3)]),
        fleet(node(1), vec![moved, node(3)]),
        parse(&file(elsewhere, vec![])).unwrap(),
    ];
    let adjacent = [2, 2, 3, 3];
    let [first, changed, last] = fleets;
    let plans = [first, changed.clone(), changed, last].into_iter().zip(adjacent);
    plans
        .map(|(fleet, adjacent)| {
            let mut facts = facts(&fleet);
            for (ip, reach) in &mut facts.reach {
                let direct = fleet
                    .peers
                    .iter()
                    .any(|peer| peer.name == format!("n{adjacent}") && peer.node_ips.contains(ip));
                if !direct {
                    *reach = Reach::Behind("192.168.2.254".parse().unwrap());
                }
            }
            peers::plan(&fleet, &facts, &options).unwrap()
        })
        .collect()
}

fn domain() -> [IpNetwork; 2] {
    [net("10.244.0.0/16"), net("fd00:244::/32")]
}

fn ways(backend: &Backend) -> Vec<Vec<Change>> {
    let options = options(backend.clone());
    let mut world = World::default();
    let plans = plans(backend);
    plans.iter().map(|plan| world.reconcile(plan, &options, &domain())).collect()
}

/// What the kernel has.
fn have(backend: &Backend) -> Have {
    let socket = Socket::open().unwrap();
    let link = |name: &str| link::get(&socket, name).unwrap();
    let tunnel = |ipv6| {
        let link = link(backend.device(ipv6).unwrap().as_str()).unwrap();
        let index = link.index;
        Tunnel {
            link,
            addresses: address::list(&socket, index, ipv6).unwrap(),
            neighbours: neighbour::list(&socket, index, ipv6).unwrap(),
            fdb: fdb::list(&socket, index).unwrap(),
        }
    };
    let tunnels = Families { v4: Some(tunnel(false)), v6: Some(tunnel(true)) };
    let mut routes = Vec::new();
    for (ipv6, index) in [(false, 10), (true, 11)] {
        routes.extend(route::of_protocol(&socket, ipv6, 112).unwrap());
        let mut through = route::through(&socket, ipv6, index).unwrap();
        through.retain(|installed| installed.route.protocol != 112);
        routes.extend(through);
    }
    Have { underlays: Families { v4: link("eth0"), v6: link("eth0") }, tunnels, routes }
}

/// Whether the kernel takes a step, and how.
type Step = fn(&Netns, &[Change]);

fn by_command(netns: &Netns, changes: &[Change]) {
    for change in changes {
        netns.run(&["sh", "-c", &change.to_string()]);
    }
}

fn by_request(netns: &Netns, changes: &[Change]) {
    let requests: Vec<_> = changes.iter().map(Change::request).collect();
    let outcomes = netns.enter(|| Socket::open().unwrap().run_all(&requests));
    for (change, outcome) in changes.iter().zip(outcomes) {
        outcome.unwrap_or_else(|e| panic!("{change}: {e}"));
    }
}

fn states(backend: &Backend, step: Step) -> Vec<Value> {
    let netns = node_with_devices(backend);
    let ways = ways(backend);
    let states = ways.iter().map(|changes| {
        step(&netns, changes);
        state(&netns, backend)
    });
    states.collect()
}

#[test]
fn commands_make_what_is_planned() {
    let states = states(&vxlan(true), by_command);
    let [v4, v6, routes4, routes6] = states[0].as_array().unwrap().as_slice() else {
        panic!("{states:?}")
    };
    assert_eq!(v4["addresses"], json!(["10.244.1.0/32"]));
    assert_eq!(v6["addresses"], json!(["fd00:244:1::/128"]));
    let n3 = "66:87:21:d6:64:ef"; // printf %s n3 | sha256sum
    assert_eq!(v4["neighbours"].as_array().unwrap().len(), 1);
    assert_eq!(v4["neighbours"][0]["dst"], "10.244.3.0");
    assert_eq!(v4["neighbours"][0]["lladdr"], n3);
    assert_eq!(v4["fdb"].as_array().unwrap().len(), 1);
    assert_eq!(v4["fdb"][0]["mac"], n3);
    assert_eq!(v4["fdb"][0]["dst"], "192.168.2.3");
    let gateway6 = "fe80::64b8:d2ff:fe7a:6c33"; // of printf %s n3-v6 | sha256sum
    assert_eq!(v6["neighbours"][0]["dst"], gateway6);
    assert_eq!(v6["fdb"][0]["dst"], "fd00:2::3");
    for (routes, own, direct, tunnelled, gw, via, device, mtu) in [
        (
            routes4,
            "10.244.1.0/24",
            "10.244.2.0/24",
            "10.244.3.0/24",
            "192.168.2.2",
            "10.244.3.0",
            "vxlan.1",
            1450,
        ),
        (
            routes6,
            "fd00:244:1::/64",
            "fd00:244:2::/64",
            "fd00:244:3::/64",
            "fd00:2::2",
            gateway6,
            "vxlan-v6.1",
            1430,
        ),
    ] {
        let routes = routes.as_array().unwrap();
        assert_eq!(routes.len(), 3, "{routes:?}");
        let route = |dst: &str| routes.iter().find(|route| route["dst"] == dst).unwrap();
        assert!(routes.iter().all(|route| route["protocol"] == "112"), "{routes:?}");
        assert_eq!(route(own)["type"], "blackhole");
        assert_eq!(route(own)["metric"], 1 << 20);
        assert_eq!(
            (&route(direct)["gateway"], &route(direct)["dev"]),
            (&gw.into(), &"eth0".into())
        );
        assert_eq!((&route(direct)["metric"], &route(direct)["flags"]), (&112.into(), &json!([])));
        let route = route(tunnelled);
        assert_eq!((&route["gateway"], &route["dev"]), (&via.into(), &device.into()));
        assert_eq!(
            (&route["flags"], &route["metrics"][0]["mtu"]),
            (&json!(["onlink"]), &mtu.into())
        );
    }

    let [_, _, routes4, _] = states[1].as_array().unwrap().as_slice() else { panic!() };
    let gateways: Vec<_> = routes4.as_array().unwrap().iter().map(|r| &r["gateway"]).collect();
    assert!(gateways.contains(&&json!("192.168.2.22")), "{routes4}");

    let [v4, v6, routes4, routes6] = states[3].as_array().unwrap().as_slice() else { panic!() };
    for (device, address) in [(v4, "10.244.9.0/32"), (v6, "fd00:244:9::/128")] {
        assert_eq!(device, &json!({"addresses": [address], "neighbours": [], "fdb": []}));
    }
    for routes in [routes4, routes6] {
        assert_eq!(routes.as_array().unwrap().len(), 1);
        assert_eq!(routes[0]["type"], "blackhole");
    }
}

#[test]
fn commands_hold_for_every_way_and_any_device_name() {
    let mut odd = vxlan(false);
    let Backend::Vxlan(options) = &mut odd else { panic!() };
    (options.device, options.device_v6) = ("a'b;$c*".parse().unwrap(), "-x&\"y".parse().unwrap());
    let states = states(&odd, by_command);
    assert_eq!(states[0][0]["fdb"].as_array().unwrap().len(), 2);
    assert_eq!(states[0][1]["fdb"].as_array().unwrap().len(), 2);
    assert_eq!(states[3][0]["fdb"], json!([]));
}

#[test]
fn requests_do_the_same_as_commands() {
    for backend in [vxlan(false), vxlan(true)] {
        assert_eq!(states(&backend, by_request), states(&backend, by_command));
    }
}

#[test]
fn the_kernel_differs_in_nothing_from_what_has_been_made() {
    for backend in [vxlan(false), vxlan(true)] {
        let netns = node_with_devices(&backend);
        let options = options(backend.clone());
        for spoilt in [false, true] {
            for plan in plans(&backend) {
                if spoilt {
                    spoil(&netns);
                }
                let differ =
                    || difference(&plan, &netns.enter(|| have(&backend)), &options, &domain());
                let changes = differ();
                assert!(!spoilt || !changes.is_empty());
                by_request(&netns, &changes);
                assert_eq!(differ(), []);
            }
        }
        let foreign = netns.ip(&["route", "show", "10.244.77.0/24"]);
        assert_eq!(foreign[0]["protocol"], "80");
    }
}

/// What others could do to a node.
fn spoil(netns: &Netns) {
    for line in [
        "addr add 10.244.3.0/32 dev vxlan.1",
        "addr add 10.244.1.0/24 dev vxlan.1",
        "addr add fd00:244:3::/128 dev vxlan-v6.1",
        "neigh replace 10.244.3.0 lladdr 66:00:00:00:00:99 dev vxlan.1 nud permanent",
        "neigh replace 10.244.88.0 lladdr 66:00:00:00:00:98 dev vxlan.1 nud permanent",
        "route replace 10.244.3.0/24 via 192.168.2.9 dev eth0 proto 112 metric 112 mtu 1300",
        "route append 10.244.3.0/24 via 192.168.2.8 dev eth0 proto 112 metric 112",
        "route replace blackhole 10.244.2.0/24 proto 112 metric 1048576",
        "route replace 10.244.66.0/24 dev vxlan.1",
        "route replace fd00:244:3::/64 via fd00:2::9 dev eth0 proto 112 metric 112",
        "route replace blackhole fd00:244:2::/64 proto 112 metric 1048576",
        "route replace 10.244.77.0/24 via 192.168.2.7 dev eth0 proto 80 metric 112",
    ] {
        netns.run(&[&["ip"], line.split(' ').collect::<Vec<_>>().as_slice()].concat());
    }
}
