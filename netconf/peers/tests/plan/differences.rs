//! The changes, one by one: what is ours, what is replaced, in which order.

use ipnetwork::IpNetwork;
use kernel::fdb::Entry;
use kernel::neighbour::Neighbour;
use kernel::route::{Installed, Kind, Route};
use peers::{Backend, Change, Options, Plan, difference};

use crate::sample::{UNDERLAY, fleet, ip, ipip, mac, net, node, node4, options, plan, vxlan};
use crate::world::{World, address, index};

/// A node in line with its plan.
struct Node {
    plan: Plan,
    options: Options,
    world: World,
}

fn in_line(backend: Backend) -> Node {
    let plan = plan(&fleet(node4(1), vec![node4(2), node4(3)]), backend.clone());
    let options = options(backend);
    let mut world = World::default();
    world.reconcile(&plan, &options, &domain());
    Node { plan, options, world }
}

fn domain() -> [IpNetwork; 1] {
    [net("10.244.0.0/16")]
}

impl Node {
    fn changes(&self) -> Vec<String> {
        let have = self.world.have(&self.plan, &self.options);
        shown(&difference(&self.plan, &have, &self.options, &domain()))
    }

    fn tunnel(&mut self) -> &mut peers::Tunnel {
        self.world.tunnels.get_mut(&index(&self.options.backend, false)).unwrap()
    }

    /// What is done about one more route.
    fn with_route(mut self, link: u32, route: Route) -> Vec<String> {
        self.world.routes.push(Installed { link: Some(link), route });
        self.changes()
    }

    /// What is done about a change of the route to n2.
    fn with_spoilt(mut self, spoil: impl FnOnce(&mut Installed)) -> Vec<String> {
        let dst = net("10.244.2.0/24");
        spoil(self.world.routes.iter_mut().find(|i| i.route.dst == dst).unwrap());
        self.changes()
    }
}

fn shown(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

fn to(dst: &str, protocol: u8, metric: u32) -> Route {
    Route { gw: Some(ip("10.9.9.9")), protocol, priority: Some(metric), ..Route::to(net(dst)) }
}

#[test]
fn a_fresh_vxlan_node_gets_routes_last() {
    let plan = plan(&fleet(node4(1), vec![node4(2)]), vxlan(false));
    let options = options(vxlan(false));
    let mut world = World::default();
    let changes = world.reconcile(&plan, &options, &domain());
    let n2 = plan.devices[0].neighbours[&ip("10.244.2.0")];
    assert_eq!(
        shown(&changes),
        [
            "ip addr add 10.244.1.0/32 dev vxlan.1".to_owned(),
            format!("bridge fdb replace {n2} dev vxlan.1 dst 192.168.2.2 self permanent"),
            format!("ip neigh replace 10.244.2.0 lladdr {n2} dev vxlan.1 nud permanent"),
            "ip route replace blackhole 10.244.1.0/24 proto 112 metric 1048576".to_owned(),
            "ip route replace 10.244.2.0/24 via 10.244.2.0 dev vxlan.1 proto 112 metric 112 onlink"
                .to_owned(),
        ]
    );
}

#[test]
fn a_peer_that_is_gone_goes_route_first() {
    let mut node = in_line(vxlan(false));
    let n3 = node.plan.devices[0].neighbours[&ip("10.244.3.0")];
    node.plan = plan(&fleet(node4(1), vec![node4(2)]), vxlan(false));
    assert_eq!(
        node.changes(),
        [
            "ip route del 10.244.3.0/24 via 10.244.3.0 dev vxlan.1 proto 112 metric 112".to_owned(),
            "ip neigh del 10.244.3.0 dev vxlan.1".to_owned(),
            format!("bridge fdb del {n3} dev vxlan.1 dst 192.168.2.3 self"),
        ]
    );
}

#[test]
fn a_peer_with_another_hardware_address_keeps_one_entry() {
    let mut node = in_line(vxlan(false));
    let old = node.plan.devices[0].neighbours[&ip("10.244.3.0")];
    let mut n3 = node4(3);
    n3["vtepMAC"] = "66:00:00:00:00:03".into();
    node.plan = plan(&fleet(node4(1), vec![node4(2), n3]), vxlan(false));
    assert_eq!(
        node.changes(),
        [
            "bridge fdb replace 66:00:00:00:00:03 dev vxlan.1 dst 192.168.2.3 self permanent"
                .to_owned(),
            "ip neigh replace 10.244.3.0 lladdr 66:00:00:00:00:03 dev vxlan.1 nud permanent"
                .to_owned(),
            format!("bridge fdb del {old} dev vxlan.1 dst 192.168.2.3 self"),
        ]
    );
}

#[test]
fn a_peer_with_another_node_address_has_its_entry_replaced() {
    let mut node = in_line(vxlan(false));
    let mac = node.plan.devices[0].neighbours[&ip("10.244.3.0")];
    let mut n3 = node4(3);
    n3["nodeIPs"] = serde_json::json!(["192.168.2.33"]);
    node.plan = plan(&fleet(node4(1), vec![node4(2), n3]), vxlan(false));
    assert_eq!(
        node.changes(),
        [format!("bridge fdb replace {mac} dev vxlan.1 dst 192.168.2.33 self permanent")]
    );
}

#[test]
fn a_route_of_ours_that_differs_in_anything_is_replaced() {
    let set = ["ip route replace 10.244.2.0/24 via 192.168.2.2 dev eth0 proto 112 metric 112"];
    let spoilt =
        |spoil: &dyn Fn(&mut Installed)| in_line(Backend::HostGw).with_spoilt(|i| spoil(i));
    assert_eq!(spoilt(&|i| i.route.gw = Some(ip("192.168.2.9"))), set);
    assert_eq!(spoilt(&|i| i.route.mtu = Some(1400)), set);
    assert_eq!(spoilt(&|i| i.route.onlink = true), set);
    assert_eq!(spoilt(&|i| i.link = Some(3)), set);
    assert_eq!(spoilt(&|i| i.route.kind = Kind::Other), set);
    // What is not compared: the kernel fills it in.
    let none: [&str; 0] = [];
    assert_eq!(spoilt(&|i| i.route.table = Some(254)), none);
    assert_eq!(spoilt(&|i| i.route.src = Some(ip("192.168.2.1"))), none);
}

#[test]
fn a_route_of_ours_with_another_metric_goes_after_the_right_one_has_come() {
    assert_eq!(
        in_line(Backend::HostGw).with_spoilt(|i| i.route.priority = Some(7)),
        [
            "ip route replace 10.244.2.0/24 via 192.168.2.2 dev eth0 proto 112 metric 112",
            "ip route del 10.244.2.0/24 via 192.168.2.2 dev eth0 proto 112 metric 7",
        ]
    );
}

#[test]
fn of_several_routes_with_one_identity_one_remains() {
    let mut node = in_line(Backend::HostGw);
    let route = |gw: &str| Route { gw: Some(ip(gw)), ..to("10.244.2.0/24", 112, 112) };
    let installed = |gw: &str| Installed { link: Some(UNDERLAY), route: route(gw) };
    node.world.routes.push(installed("192.168.2.9"));
    assert_eq!(
        node.changes(),
        [
            "ip route del 10.244.2.0/24 via 192.168.2.9 dev eth0 proto 112 metric 112",
            "ip route replace 10.244.2.0/24 via 192.168.2.2 dev eth0 proto 112 metric 112",
        ]
    );
    node.world.routes.retain(|i| i.route.gw != Some(ip("192.168.2.2")));
    node.world.routes.push(installed("192.168.2.10"));
    assert_eq!(
        node.changes(),
        [
            "ip route del 10.244.2.0/24 via 192.168.2.10 dev eth0 proto 112 metric 112",
            "ip route replace 10.244.2.0/24 via 192.168.2.2 dev eth0 proto 112 metric 112",
        ]
    );
}

#[test]
fn only_routes_in_our_domain_or_on_our_device_are_removed() {
    let none: [&str; 0] = [];
    for backend in [Backend::HostGw, vxlan(false), ipip("tunl0", false)] {
        let tunnel = index(&backend, false);
        let on = |link: u32, route: Route| in_line(backend.clone()).with_route(link, route);
        assert_eq!(
            on(7, to("10.244.9.0/24", 112, 112)),
            ["ip route del 10.244.9.0/24 via 10.9.9.9 dev if7 proto 112 metric 112"]
        );
        assert_eq!(on(7, to("10.245.9.0/24", 112, 112)), none, "another network's");
        assert_eq!(on(7, to("10.0.0.0/8", 112, 112)), none, "more than our domain");
        assert_eq!(on(7, to("10.244.9.0/24", 80, 112)), none, "another protocol");
        let shared = matches!(backend, Backend::HostGw | Backend::Ipip(_));
        for (dst, protocol, metric) in
            [("10.245.9.0/24", 112, 5), ("10.244.2.0/24", 3, 0), ("0.0.0.0/0", 4, 100)]
        {
            let removed = format!(
                "ip route del {dst} via 10.9.9.9 dev vxlan.1 proto {protocol} metric {metric}"
            );
            let expected = if shared { vec![] } else { vec![removed] };
            assert_eq!(on(tunnel, to(dst, protocol, metric)), expected);
        }
        assert_eq!(on(tunnel, to("10.244.9.0/32", 2, 0)), none, "the kernel's own");
    }
}

#[test]
fn a_route_that_led_elsewhere_is_replaced_in_place() {
    let both = fleet(node(1), vec![node(2)]);
    let plan = plan(&both, vxlan(false));
    let options = options(vxlan(false));
    let mut world = World::default();
    world.reconcile(&plan, &options, &domain());
    for installed in world.routes.iter_mut().filter(|i| i.link.is_some()) {
        let gw = if installed.route.dst.is_ipv6() { "fd00:2::2" } else { "192.168.2.2" };
        (installed.link, installed.route.gw) = (Some(UNDERLAY), Some(ip(gw)));
        installed.route.onlink = false;
    }
    let domain = [net("10.244.0.0/16"), net("fd00:244::/32")];
    assert_eq!(
        shown(&difference(&plan, &world.have(&plan, &options), &options, &domain)),
        [
            "ip route replace 10.244.2.0/24 via 10.244.2.0 dev vxlan.1 proto 112 metric 112 onlink",
            "ip route replace fd00:244:2::/64 via fe80::64c8:2aff:fea8:7f8b dev vxlan-v6.1 proto 112 metric 112 onlink",
        ]
    );
}

#[test]
fn an_ipv6_route_through_the_tunnel_is_replaced_in_place() {
    let both = fleet(node(1), vec![node(2)]);
    let plan = plan(&both, vxlan(false));
    let options = options(vxlan(false));
    let mut world = World::default();
    let domain = [net("fd00:244::/32")];
    let made = shown(&world.reconcile(&plan, &options, &domain));
    assert!(made.contains(&"ip addr add fd00:244:1::/128 dev vxlan-v6.1 nodad".to_owned()));
    let dst = net("fd00:244:2::/64");
    world.routes.iter_mut().find(|i| i.route.dst == dst).unwrap().route.mtu = Some(1280);
    assert_eq!(
        shown(&difference(&plan, &world.have(&plan, &options), &options, &domain)),
        [
            "ip route replace fd00:244:2::/64 via fe80::64c8:2aff:fea8:7f8b dev vxlan-v6.1 proto 112 metric 112 onlink"
        ]
    );
}

#[test]
fn a_second_entry_for_one_hardware_address_goes() {
    let mut node = in_line(vxlan(false));
    let second = Entry { mac: node.tunnel().fdb[0].mac, vtep: ip("192.168.2.99") };
    node.tunnel().fdb.push(second);
    let mac = second.mac;
    assert_eq!(node.changes(), [format!("bridge fdb del {mac} dev vxlan.1 dst 192.168.2.99 self")]);
}

#[test]
fn a_blackhole_for_a_network_that_is_a_peers_now_goes() {
    let mut node = in_line(Backend::HostGw);
    let hole = Route { kind: Kind::Blackhole, gw: None, ..to("10.244.2.0/24", 112, 1 << 20) };
    node.world.routes.push(Installed { link: None, route: hole });
    assert_eq!(node.changes(), ["ip route del blackhole 10.244.2.0/24 proto 112 metric 1048576"]);
}

#[test]
fn a_device_of_our_own_holds_nothing_else() {
    let mut node = in_line(vxlan(false));
    let other = mac("66:00:00:00:00:99");
    let tunnel = node.tunnel();
    tunnel.addresses = vec![
        address(net("10.244.9.0/32"), true),
        address(net("10.244.1.0/24"), true),
        address(net("169.254.1.1/16"), false),
    ];
    tunnel.neighbours.push(Neighbour { ip: ip("10.244.9.0"), mac: other });
    tunnel.fdb.push(Entry { mac: other, vtep: ip("192.168.2.9") });
    assert_eq!(
        node.changes(),
        [
            "ip addr add 10.244.1.0/32 dev vxlan.1",
            "ip addr del 10.244.9.0/32 dev vxlan.1",
            "ip addr del 10.244.1.0/24 dev vxlan.1",
            "ip neigh del 10.244.9.0 dev vxlan.1",
            "bridge fdb del 66:00:00:00:00:99 dev vxlan.1 dst 192.168.2.9 self",
        ]
    );
}

#[test]
fn on_the_kernels_own_device_only_what_was_ours_goes() {
    let mut node = in_line(ipip("tunl0", false));
    node.tunnel().addresses = vec![
        address(net("10.244.9.0/32"), true),
        address(net("10.244.9.0/24"), true),
        address(net("192.168.7.1/32"), true),
    ];
    node.tunnel().neighbours =
        vec![Neighbour { ip: ip("10.244.9.0"), mac: mac("66:00:00:00:00:99") }];
    assert_eq!(
        node.changes(),
        ["ip addr add 10.244.1.0/32 dev tunl0", "ip addr del 10.244.9.0/32 dev tunl0"]
    );
}

#[test]
fn where_there_is_no_device_nothing_is_said_of_it() {
    let Node { plan, options, .. } = in_line(vxlan(false));
    let mut have = World::default().have(&plan, &options);
    assert_eq!(
        shown(&difference(&plan, &have, &options, &domain())),
        ["ip route replace blackhole 10.244.1.0/24 proto 112 metric 1048576"]
    );
    have.underlays.v4 = None;
    let Node { plan, options, .. } = in_line(Backend::HostGw);
    assert_eq!(shown(&difference(&plan, &have, &options, &domain())).len(), 1);
}
