//! A network of nodes n1 (this one), n2, n3... with IPv4 and IPv6.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use kernel::MacAddr;
use peers::{
    Backend, Facts, Families, Fleet, IpipOptions, METRIC, Offload, Options, PROTOCOL, Plan, Reach,
    Route, Through, Underlay, VxlanOptions,
};
use serde_json::{Value, json};

pub const WHAT: &str = "peersFile /run/pods.json";

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn net(text: &str) -> IpNetwork {
    text.parse::<cni::Cidr>().unwrap().0
}

pub fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

/// Node `n` of both families.
pub fn node(n: u8) -> Value {
    json!({
        "name": format!("n{n}"),
        "podCIDRs": [format!("10.244.{n}.0/24"), format!("fd00:244:{n}::/64")],
        "nodeIPs": [format!("192.168.2.{n}"), format!("fd00:2::{n}")],
    })
}

/// Node `n` of IPv4 alone.
pub fn node4(n: u8) -> Value {
    json!({
        "name": format!("n{n}"),
        "podCIDRs": [format!("10.244.{n}.0/24")],
        "nodeIPs": [format!("192.168.2.{n}")],
    })
}

pub fn file(local: Value, peers: Vec<Value>) -> Value {
    let mut file = json!({"version": 1, "clusterCIDRs": ["10.244.0.0/16", "fd00:244::/32"]});
    file["local"] = local;
    file["peers"] = Value::Array(peers);
    file
}

pub fn parse(file: &Value) -> Result<Fleet, cni::Error> {
    Fleet::parse(file.to_string().as_bytes(), WHAT)
}

pub fn fleet(local: Value, peers: Vec<Value>) -> Fleet {
    parse(&file(local, peers)).unwrap()
}

pub fn vxlan(direct_routing: bool) -> Backend {
    Backend::Vxlan(VxlanOptions {
        vni: 1,
        port: 8472,
        device: "vxlan.1".parse().unwrap(),
        device_v6: "vxlan-v6.1".parse().unwrap(),
        direct_routing,
    })
}

pub fn ipip(device: &str, direct_routing: bool) -> Backend {
    let device = device.parse().unwrap();
    Backend::Ipip(IpipOptions { device, direct_routing, path_mtu_discovery: true })
}

pub fn options(backend: Backend) -> Options {
    Options {
        network: "pods".parse().unwrap(),
        backend,
        mtu: None,
        protocol: PROTOCOL,
        iface: None,
        offload: Offload::Auto,
    }
}

/// Not one that a module may have given to a device of its own in each new namespace, as `tunl0`.
pub const UNDERLAY: u32 = 40;

fn underlay(local: &str) -> Underlay {
    Underlay { index: UNDERLAY, name: "eth0".to_owned(), mtu: 1500, local: ip(local) }
}

/// Both families on `eth0`, every peer adjacent.
pub fn facts(fleet: &Fleet) -> Facts {
    let reach = fleet.peers.iter().flat_map(|peer| &peer.node_ips);
    Facts {
        underlays: Families { v4: Some(underlay("192.168.2.1")), v6: Some(underlay("fd00:2::1")) },
        reach: reach.map(|ip| (*ip, Reach::Direct)).collect(),
    }
}

/// The plan for all peers adjacent.
pub fn plan(fleet: &Fleet, backend: Backend) -> Plan {
    peers::plan(fleet, &facts(fleet), &options(backend)).unwrap()
}

/// A route as it is planned for a peer.
pub fn route(dst: &str, gw: &str, through: Through) -> Route {
    let onlink = through == Through::Tunnel;
    Route { dst: net(dst), through, gw: Some(ip(gw)), onlink, mtu: None, metric: METRIC }
}

/// The faults as they are shown.
pub fn shown(faults: &[peers::Fault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}
