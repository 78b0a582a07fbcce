//! What the kernel is to have: a pure function of the fleet, the node's own network and the
//! options.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cni::{Error, IfName};
use ipnetwork::IpNetwork;
use kernel::MacAddr;
use kernel::link::{Ipip, Vxlan};

use crate::{Facts, Fault, Fleet, Options};

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
    /// The peers' tunnel addresses (VXLAN).
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
    todo!()
}
