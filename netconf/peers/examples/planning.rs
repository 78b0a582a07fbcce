//! What 5 000 peers cost where the kernel is not asked: reading the file, planning, and comparing
//! with a kernel that has nothing and with one that has it all.
//!
//! `cargo run --release -p peers --example planning`
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example prints, and ends when something is wrong"
)]

use std::fmt::Write as _;
use std::time::Instant;

use kernel::address::Address;
use kernel::link::Link;
use kernel::route::Installed;
use peers::{
    Backend, Change, Facts, Families, Fleet, Have, Offload, Options, Tunnel, Underlay,
    VxlanOptions, difference, plan,
};

const PEERS: u32 = 5000;

fn main() {
    let text = file();
    let options = Options {
        network: "pods".parse().unwrap(),
        backend: Backend::Vxlan(VxlanOptions {
            vni: 1,
            port: 8472,
            device: "vxlan.1".parse().unwrap(),
            device_v6: "vxlan-v6.1".parse().unwrap(),
            direct_routing: false,
        }),
        mtu: None,
        protocol: peers::PROTOCOL,
        iface: None,
        offload: Offload::Auto,
    };
    let underlay = |local: &str| {
        let local = local.parse().unwrap();
        Some(Underlay { index: 2, name: "eth0".to_owned(), mtu: 1500, local })
    };
    let facts = Facts {
        underlays: Families { v4: underlay("172.16.0.1"), v6: underlay("fd00:3::1") },
        ..Facts::default()
    };

    println!("{PEERS} peers of both families behind VXLAN, {} KiB of JSON", text.len() / 1024);
    let fleet = timed("read the file", || Fleet::parse(text.as_bytes(), "the file").unwrap());
    assert_eq!(fleet.peers.len(), usize::try_from(PEERS).unwrap());
    let plan = timed("plan", || plan(&fleet, &facts, &options).unwrap());
    let mut have = Have {
        underlays: Families { v4: Some(link(2, "eth0")), v6: Some(link(2, "eth0")) },
        tunnels: Families { v4: Some(tunnel(10, "vxlan.1")), v6: Some(tunnel(11, "vxlan-v6.1")) },
        routes: Vec::new(),
    };
    let compare = |have: &Have| difference(&plan, have, &options, &fleet.cluster);
    let changes = timed("compare with nothing", || compare(&have));
    println!("{:>28} changes", changes.len());
    for change in changes {
        apply(&mut have, change);
    }
    let changes = timed("compare with all of it", || compare(&have));
    println!("{:>28} changes", changes.len());
}

fn timed<T>(what: &str, work: impl Fn() -> T) -> T {
    work(); // the first one pays for memory
    let begin = Instant::now();
    let done = work();
    println!("{what:<24}{:>6.1} ms", begin.elapsed().as_secs_f64() * 1000.0);
    done
}

fn file() -> String {
    let mut text = r#"{"version": 1, "clusterCIDRs": ["10.0.0.0/8", "fd00:244::/32"],
        "local": {"name": "here", "podCIDRs": ["10.0.0.0/24", "fd00:244::/64"],
            "nodeIPs": ["172.16.0.1", "fd00:3::1"]}, "peers": ["#
        .to_owned();
    for n in 0..PEERS {
        let (a, b) = (n / 250 + 1, n % 250 + 1);
        let comma = if n == 0 { "" } else { ", " };
        write!(
            text,
            r#"{comma}{{"name": "node-{n}.example.org", "podCIDRs": ["10.{a}.{b}.0/24", "fd00:244:{a}:{b}::/64"],
            "nodeIPs": ["192.168.{a}.{b}", "fd00:2::{a}:{b}"]}}"#
        )
        .unwrap();
    }
    text + "]}"
}

fn link(index: u32, name: &str) -> Link {
    Link { index, name: name.to_owned(), ..Link::default() }
}

fn tunnel(index: u32, name: &str) -> Tunnel {
    let link = link(index, name);
    Tunnel { link, addresses: Vec::new(), neighbours: Vec::new(), fdb: Vec::new() }
}

fn apply(have: &mut Have, change: Change) {
    let (Change::AddAddress(link, _) | Change::SetNeighbour(link, _) | Change::SetEntry(link, _)) =
        &change
    else {
        let Change::SetRoute(link, route) = change else { panic!("{change}") };
        have.routes.push(Installed { link: link.map(|link| link.index), route });
        return;
    };
    let tunnel = have.tunnels.get_mut(link.index == 11).as_mut().unwrap();
    match change {
        Change::AddAddress(_, address) => tunnel.addresses.push(Address {
            address,
            global: true,
            tentative: false,
            dad_failed: false,
            peer: None,
            no_prefix_route: false,
        }),
        Change::SetNeighbour(_, neighbour) => tunnel.neighbours.push(neighbour),
        Change::SetEntry(_, entry) => tunnel.fdb.push(entry),
        _ => {}
    }
}
