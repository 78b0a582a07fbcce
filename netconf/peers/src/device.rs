//! A tunnel device that exists, compared with what is planned.

use std::fmt::Display;

use kernel::link::{Ipip, Link, Vxlan};

use crate::plan::{Device, Kind};

/// What has to be done to a device that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be mended in place; empty when nothing differs.
    Mend(Vec<Mend>),
    /// It has to be made anew, because of these attributes ("port 4789 instead of 8472"). Allowed
    /// only where the device is ours.
    Remake(Vec<String>),
    /// Something of another kind stands there ("a bridge"). Never touched.
    Foreign(String),
}

/// An attribute that differs and can be changed in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Local address, underlay, learning, time to live, path MTU discovery: the kind's own attributes. The text
    /// names them with both values.
    Kind(String),
    /// The hardware address.
    Mac,
    /// The MTU.
    Mtu,
    /// The alias that marks it as ours.
    Alias,
    /// The kernel would make a link-local address.
    AddressGeneration,
    /// It is a port of somebody's bridge, which would get what comes out of the tunnel.
    Master,
    /// It is down.
    Down,
}

/// Compares. `alias` is the mark of our own devices (see `alias`).
pub fn compare(device: &Device, link: &Link, alias: &str) -> Verdict {
    let kind = match &device.kind {
        Kind::Vxlan(..) => "vxlan",
        Kind::Ipip(_) | Kind::Fallback => "ipip",
    };
    if link.kind != kind {
        return Verdict::Foreign(foreign_kind(&link.kind));
    }
    let mut differences = Differences::default();
    match (&device.kind, &link.vxlan, &link.ipip) {
        (Kind::Fallback, _, Some(ipip)) if ipip.remote.is_some() || ipip.external => {
            return Verdict::Foreign("an ipip device with another end of its own".to_owned());
        }
        (Kind::Fallback, ..) => {}
        (Kind::Vxlan(wanted, _), Some(has), _) => differences.vxlan(has, wanted),
        (Kind::Ipip(wanted), _, Some(has)) => differences.ipip(has, wanted),
        _ => return Verdict::Foreign(format!("{} without attributes", foreign_kind(&link.kind))),
    }
    // Another network's device: both would undo each other's entries for ever.
    let mark = link.alias.as_deref().unwrap_or_default();
    if device.kind != Kind::Fallback && mark != alias && mark.starts_with("podwire:") {
        return Verdict::Foreign(format!("another network's device, with the alias {mark:?}"));
    }
    if !differences.fixed.is_empty() {
        return Verdict::Remake(differences.fixed);
    }
    let mut mends = Vec::new();
    if !differences.mendable.is_empty() {
        mends.push(Mend::Kind(differences.mendable.join(", ")));
    }
    let mut mend = |needed: bool, mend| mends.extend(needed.then_some(mend));
    if let Kind::Vxlan(_, mac) = &device.kind {
        mend(link.mac != Some(*mac), Mend::Mac);
    }
    mend(link.mtu != device.mtu, Mend::Mtu);
    if device.kind != Kind::Fallback {
        mend(mark != alias, Mend::Alias);
    }
    // The kernel makes no link-local address for ARPHRD_TUNNEL (net/ipv6/addrconf.c,
    // `addrconf_dev_config`).
    if let Kind::Vxlan(..) = &device.kind {
        mend(!link.no_address_generation, Mend::AddressGeneration);
    }
    mend(link.master.is_some(), Mend::Master);
    mend(!link.up, Mend::Down);
    Verdict::Mend(mends)
}

fn foreign_kind(kind: &str) -> String {
    match kind {
        "" => "a physical interface".to_owned(),
        _ if kind.starts_with(['a', 'e', 'i', 'o']) => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// Attributes that differ, as texts with both values.
#[derive(Default)]
struct Differences {
    /// These are fixed when the device is made.
    fixed: Vec<String>,
    /// These can be changed.
    mendable: Vec<String>,
}

impl Differences {
    /// What may be changed is told by drivers/net/vxlan/vxlan_core.c, `vxlan_nl2conf`.
    fn vxlan(&mut self, has: &Vxlan, wanted: &Vxlan) {
        // Without an address a device is one for IPv4.
        let has_ipv6 = has.local.is_some_and(|ip| ip.is_ipv6());
        let other_family = wanted.local.is_some_and(|ip| ip.is_ipv6() != has_ipv6);
        let fixed = [
            differ("vni", &has.vni, &wanted.vni),
            differ("port", &has.port, &wanted.port),
            differ_switch("gbp", has.gbp, wanted.gbp),
            differ_switch("external", has.external, wanted.external),
            differ_maybe("group", has.group, wanted.group),
            differ_switch("proxy", has.proxy, wanted.proxy),
            differ_switch("l2miss", has.l2miss, wanted.l2miss),
            differ_switch("l3miss", has.l3miss, wanted.l3miss),
        ];
        self.fixed.extend(fixed.into_iter().flatten());
        let local = differ_maybe("local", has.local, wanted.local);
        if other_family {
            self.fixed.extend(local);
        } else {
            self.mendable.extend(local);
        }
        let mendable = [
            differ_maybe("underlay", has.underlay, wanted.underlay),
            differ_switch("learning", has.learning, wanted.learning),
            differ("ttl", &has.ttl, &wanted.ttl),
        ];
        self.mendable.extend(mendable.into_iter().flatten());
    }

    /// A device with another end is a point-to-point link, which it stays (net/ipv4/ip_tunnel.c,
    /// `ip_tunnel_changelink`).
    fn ipip(&mut self, has: &Ipip, wanted: &Ipip) {
        let fixed = [
            differ_maybe("remote", has.remote, wanted.remote),
            differ_switch("external", has.external, wanted.external),
        ];
        self.fixed.extend(fixed.into_iter().flatten());
        let (has_pmtu, wanted_pmtu) = (has.path_mtu_discovery, wanted.path_mtu_discovery);
        // A fixed time to live goes with path MTU discovery only (`ip_tunnel_ioctl`); else it is a
        // matter of taste.
        let ttl = if wanted_pmtu { None } else { differ("ttl", &has.ttl, &wanted.ttl) };
        let mendable = [
            differ_maybe("local", has.local, wanted.local),
            differ_maybe("underlay", has.underlay, wanted.underlay),
            differ_switch("pmtudisc", has_pmtu, wanted_pmtu),
            ttl,
        ];
        self.mendable.extend(mendable.into_iter().flatten());
    }
}

fn differ<T: PartialEq + Display + ?Sized>(name: &str, has: &T, wanted: &T) -> Option<String> {
    (has != wanted).then(|| format!("{name} {has} instead of {wanted}"))
}

fn differ_switch(name: &str, has: bool, wanted: bool) -> Option<String> {
    let word = |on: bool| if on { "on" } else { "off" };
    differ(name, word(has), word(wanted))
}

fn differ_maybe<T: Copy + Display>(
    name: &str,
    has: Option<T>,
    wanted: Option<T>,
) -> Option<String> {
    let [has, wanted] = [has, wanted]
        .map(|value| value.map_or_else(|| "none".to_owned(), |value| value.to_string()));
    differ(name, &has, &wanted)
}
