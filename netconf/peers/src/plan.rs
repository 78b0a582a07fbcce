//! What the kernel is to have: a pure function of the fleet, the node's own network and the
//! options.

mod mtu;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cni::{Error, IfName};
use ipnetwork::IpNetwork;
use kernel::MacAddr;
use kernel::address::host;
use kernel::link::{Ipip, Vxlan};

use crate::backend::{BLACKHOLE_METRIC, METRIC};
use crate::fleet::Node;
use crate::{Backend, Facts, Fault, Fleet, Options, Underlay};
use mtu::Mtus;

/// What the kernel is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The tunnel devices: none for host-gw, one per family otherwise.
    pub devices: Vec<Device>,
    /// The routes in main, ours alone.
    pub routes: BTreeSet<Route>,
    /// The pods' MTU in bytes.
    pub mtu: u32,
    /// Where pods are known by their own addresses whatever is masqueraded: the cluster's networks
    /// and every node's addresses.
    pub exempt: BTreeSet<IpNetwork>,
    /// Peers that are not, or not wholly, served, and why: the fleet's and the plan's own.
    pub faults: Vec<Fault>,
}

/// A tunnel device and what it alone holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: IfName,
    /// The family that it carries.
    pub ipv6: bool,
    /// What it is.
    pub kind: Kind,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its address, alone in its prefix.
    pub address: IpNetwork,
    /// The gateways to the peers (VXLAN).
    pub neighbours: BTreeMap<IpAddr, MacAddr>,
    /// Behind which node each hardware address is (VXLAN).
    pub fdb: BTreeMap<MacAddr, IpAddr>,
}

/// What a tunnel device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A VXLAN device with this hardware address.
    Vxlan(Vxlan, MacAddr),
    /// An IPIP device of our own.
    Ipip(Ipip),
    /// `tunl0`, which the kernel's module makes and which may serve others too.
    Fallback,
}

/// A route, as far as the plan knows it: links have no index yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The destination.
    pub dst: IpNetwork,
    /// The way.
    pub through: Through,
    /// The gateway.
    pub gw: Option<IpAddr>,
    /// The gateway is on the link even where no address says so.
    pub onlink: bool,
    /// The path's MTU in bytes, where it differs from what the link tells.
    pub mtu: Option<u32>,
    /// The metric.
    pub metric: u32,
}

/// The way of a route; the link is that of the destination's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Through {
    /// The underlay's interface.
    Underlay,
    /// The tunnel device.
    Tunnel,
    /// None: a blackhole.
    Nowhere,
}

/// Plans. Code 7 when the options, the fleet's local node and the node's own network do not go
/// together at all; what is wrong with one peer is a fault in the plan.
pub fn plan(fleet: &Fleet, facts: &Facts, options: &Options) -> Result<Plan, Error> {
    let local = &fleet.local;
    if let (Backend::Ipip(_), Some(net)) = (&options.backend, local.pods(true).next()) {
        return Err(Error::config("local.podCIDRs", net, "ipip carries IPv4 only")
            .details("use vxlan or host-gw, or leave the IPv6 network out"));
    }
    let families = Family::all(local, facts)?;
    let mtus = Mtus::of(&families, options)?;
    let mut plan = Plan {
        devices: Vec::new(),
        routes: local.pod_cidrs.iter().copied().map(blackhole).collect(),
        mtu: mtus.pods,
        exempt: fleet.cluster.iter().copied().collect(),
        faults: fleet.faults.clone(),
    };
    plan.exempt.extend(local.node_ips.iter().copied().map(host));
    for family in &families {
        plan.add_family(family, fleet, facts, options, &mtus);
    }
    plan.faults.sort();
    Ok(plan)
}

/// A family that this node has pods of.
struct Family<'a> {
    ipv6: bool,
    underlay: &'a Underlay,
    /// The address of the tunnel device, should there be one.
    tunnel_ip: IpAddr,
}

impl<'a> Family<'a> {
    fn all(local: &Node, facts: &'a Facts) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        for ipv6 in [false, true] {
            let Some(tunnel_ip) = local.tunnel_ip(ipv6) else { continue };
            let Some(underlay) = facts.underlays.get(ipv6) else {
                let ip = local.ip(ipv6).map(|ip| ip.to_string()).unwrap_or_default();
                let why = "no interface of this node holds that address";
                return Err(Error::config("local.nodeIPs", ip, why)
                    .details("correct the address, or name the interface with iface"));
            };
            all.push(Self { ipv6, underlay, tunnel_ip });
        }
        Ok(all)
    }

    /// The tunnel device, no peers in it yet.
    fn device(&self, local: &Node, options: &Options, mtu: u32) -> Option<Device> {
        let kind = match &options.backend {
            Backend::HostGw => return None,
            Backend::Vxlan(vxlan) => Kind::Vxlan(
                Vxlan {
                    vni: vxlan.vni,
                    port: vxlan.port,
                    underlay: Some(self.underlay.index),
                    local: Some(self.underlay.local),
                    udp_checksum: true,
                    ..Vxlan::default()
                },
                if self.ipv6 { local.vtep_mac_v6 } else { local.vtep_mac },
            ),
            Backend::Ipip(_) if options.backend.is_fallback() => Kind::Fallback,
            Backend::Ipip(ipip) => Kind::Ipip(Ipip {
                local: match self.underlay.local {
                    IpAddr::V4(ip) => Some(ip),
                    IpAddr::V6(_) => None,
                },
                path_mtu_discovery: ipip.path_mtu_discovery,
                ..Ipip::default()
            }),
        };
        Some(Device {
            name: options.backend.device(self.ipv6)?.clone(),
            ipv6: self.ipv6,
            kind,
            mtu,
            address: host(self.tunnel_ip),
            neighbours: BTreeMap::new(),
            fdb: BTreeMap::new(),
        })
    }
}

impl Plan {
    /// The routes to this destination.
    pub(crate) fn routes_to(&self, dst: IpNetwork) -> impl Iterator<Item = &Route> {
        // The least of them, in the order of the fields.
        let first = Route {
            dst,
            through: Through::Underlay,
            gw: None,
            onlink: false,
            mtu: None,
            metric: 0,
        };
        self.routes.range(first..).take_while(move |route| route.dst == dst)
    }

    fn add_family(
        &mut self,
        family: &Family<'_>,
        fleet: &Fleet,
        facts: &Facts,
        options: &Options,
        mtus: &Mtus,
    ) {
        let ipv6 = family.ipv6;
        let mtu = *mtus.tunnels.get(ipv6);
        let mut device = family.device(&fleet.local, options, mtu);
        let route_mtu = options.backend.direct_routing().then_some(mtu);
        for peer in &fleet.peers {
            // The fleet has no peer with pods of a family and without an address of it.
            let Some((ip, vtep)) = peer.ip(ipv6).zip(peer.vtep_gateway(ipv6)) else { continue };
            let through = match way::to(ip, facts.reach.get(&ip), family.underlay, &options.backend)
            {
                Ok(through) => through,
                Err(reason) => {
                    self.faults.push(Fault { peer: peer.name.clone(), reason });
                    continue;
                }
            };
            let tunnelled = through == Through::Tunnel;
            let mut gw = ip;
            if let (true, Some(Device { kind: Kind::Vxlan(..), neighbours, fdb, .. })) =
                (tunnelled, &mut device)
            {
                let mac = if ipv6 { peer.vtep_mac_v6 } else { peer.vtep_mac };
                neighbours.insert(vtep, mac);
                fdb.insert(mac, ip);
                gw = vtep;
            }
            self.routes.extend(peer.pods(ipv6).map(|dst| Route {
                dst,
                through,
                gw: Some(gw),
                onlink: tunnelled,
                mtu: route_mtu.filter(|_| tunnelled),
                metric: METRIC,
            }));
            self.exempt.insert(host(ip));
        }
        self.devices.extend(device);
    }
}

/// Packets to pods that do not exist end here instead of going back to where they came from.
fn blackhole(dst: IpNetwork) -> Route {
    Route {
        dst,
        through: Through::Nowhere,
        gw: None,
        onlink: false,
        mtu: None,
        metric: BLACKHOLE_METRIC,
    }
}
