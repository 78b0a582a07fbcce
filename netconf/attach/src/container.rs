//! The container's end of an attachment: its addresses and routes.

use cni::{AddResult, Code, Error, IpConfig};
use ipnetwork::IpNetwork;
use kernel::events::{Events, Group};
use kernel::link::{self, Link};
use kernel::route::{self, Route};
use kernel::{Netns, Socket, address, sysctl};

use crate::dad;
use crate::finding::Findings;

/// What is wanted of the container's interface.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its addresses.
    pub addresses: Vec<IpNetwork>,
    /// Its routes, beside those that the kernel makes for the addresses' prefixes.
    pub routes: Vec<Route>,
    /// The kernel is not to make routes for the prefixes.
    pub no_prefix_routes: bool,
    /// IPv6 addresses are used only after duplicate address detection. Without it they are usable
    /// at once, which is safe where IPAM hands out each address once.
    pub detect_duplicates: bool,
    /// The kernel goes on probing for addresses that it makes itself, as it likes: others than the
    /// node are on the link. `detect_duplicates` probes for all of them.
    pub keep_detection: bool,
}

impl Wanted {
    fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(IpNetwork::is_ipv6)
    }
}

/// The routes of a result as the kernel wants them: a route without a gateway goes through the
/// first one of its family, unless its scope says that no gateway is involved.
pub fn routes(result: &AddResult) -> Vec<Route> {
    let gateway_of = |dst: &IpNetwork| {
        result.ips.iter().filter_map(|ip| ip.gateway).find(|gw| gw.is_ipv6() == dst.is_ipv6())
    };
    let convert = |r: &cni::Route| {
        let scope = r.scope.unwrap_or(route::SCOPE_GLOBAL);
        let inherited = if scope < route::SCOPE_LINK { gateway_of(&r.dst) } else { None };
        let gw = r.gw.filter(|gw| !gw.is_unspecified()).or(inherited);
        // A route without any gateway leads to hosts on the link itself.
        let scope =
            if gw.is_none() && !r.dst.is_ipv6() { scope.max(route::SCOPE_LINK) } else { scope };
        Route {
            // The kernel refuses a destination with host bits.
            dst: IpNetwork::new(r.dst.network(), r.dst.prefix()).unwrap_or(r.dst),
            gw,
            scope,
            mtu: r.mtu,
            advmss: r.advmss,
            priority: r.priority,
            // 0 (RT_TABLE_UNSPEC) means main to the kernel.
            table: r.table.filter(|table| *table != 0),
            ..Route::to(r.dst)
        }
    };
    result.routes.iter().map(convert).collect()
}

/// Sets the interface up before it has addresses, for an address manager that speaks through it.
pub fn bring_up(netns: &Netns, socket: &Socket, ifname: &str) -> Result<(), Error> {
    // What it may learn of IPv6 by itself is not to be probed for: that holds nobody up later.
    netns.enter(|| prepare(ifname, false, false))?;
    let link = look_up(socket, ifname, netns)?;
    Ok(socket.run(link::set_up_notifying(link.index, ifname))?)
}

/// Configures the interface and sets it up. Gives it as it was found before.
pub fn configure(
    netns: &Netns,
    socket: &Socket,
    ifname: &str,
    wanted: &Wanted,
) -> Result<Link, Error> {
    let ipv6 = wanted.has_ipv6();
    let events = netns.enter(|| {
        if wanted.keep_detection && !wanted.detect_duplicates {
            prepare_addresses(ifname, ipv6)?;
        } else {
            prepare(ifname, ipv6, wanted.detect_duplicates)?;
        }
        (ipv6 && wanted.detect_duplicates).then(|| Events::open(Group::Ipv6Address)).transpose()
    })?;
    let link = look_up(socket, ifname, netns)?;

    let options = address::Options {
        no_dad: !wanted.detect_duplicates,
        no_prefix_route: wanted.no_prefix_routes,
    };
    let mut requests = Vec::new();
    requests.extend(wanted.addresses.iter().map(|a| address::add(&link, *a, options)));
    requests.push(link::set_up_notifying(link.index, ifname));
    requests.extend(wanted.routes.iter().map(|r| route::add(&link, r)));
    for outcome in socket.run_all(&requests) {
        match outcome {
            // The very same address or route is there: two sources asked for it.
            Err(e) if e.is_exists() => {}
            Err(e) => return Err(Error::from(e).while_(format!("in {}", netns.path().display()))),
            Ok(()) => {}
        }
    }
    if let Some(events) = events {
        dad::wait(&events, socket, link.index, ifname)?;
    }
    Ok(link)
}

/// Sets the sysctls that must be right before the interface gets addresses. Runs inside the
/// namespace.
fn prepare(ifname: &str, ipv6: bool, detect_duplicates: bool) -> kernel::Result<()> {
    prepare_addresses(ifname, ipv6)?;
    if detect_duplicates {
        best_effort(ifname, "enhanced_dad", "1")?;
        best_effort(ifname, "accept_dad", "1")
    } else {
        best_effort(ifname, "accept_dad", "0")
    }
}

/// Those that have nothing to do with duplicates.
fn prepare_addresses(ifname: &str, ipv6: bool) -> kernel::Result<()> {
    if !ipv6 {
        return Ok(());
    }
    for name in ["lo", ifname] {
        let key = format!("ipv6/conf/{name}/disable_ipv6");
        if sysctl::read(&key).is_ok_and(|v| v != "0") {
            sysctl::write(&key, "0")?;
        }
    }
    best_effort(ifname, "keep_addr_on_down", "1")?;
    best_effort(ifname, "ndisc_notify", "1")
}

/// Some are missing where the kernel has no IPv6, or are read-only in a user namespace: then what
/// they are for does not work either, and the addresses tell.
fn best_effort(ifname: &str, switch: &str, value: &str) -> kernel::Result<()> {
    match sysctl::write(&format!("ipv6/conf/{ifname}/{switch}"), value) {
        Err(e) if e.errno() == libc::EIO => Err(e),
        _ => Ok(()),
    }
}

/// The interface, which has to be there.
pub fn look_up(socket: &Socket, ifname: &str, netns: &Netns) -> Result<Link, Error> {
    link::get(socket, ifname)?.ok_or_else(|| {
        Error::new(
            Code::UNKNOWN_CONTAINER,
            format!("there is no interface {ifname} in {}", netns.path().display()),
        )
    })
}

/// Compares addresses and routes with what an ADD returned.
pub fn compare(
    socket: &Socket,
    link: &Link,
    ips: &[IpConfig],
    routes: &[Route],
    findings: &mut Findings,
) -> Result<(), Error> {
    let name = &link.name;
    if !link.up {
        findings.add(format!("{name} is down"));
    }
    let mut have = Vec::new();
    for ipv6 in [false, true] {
        if ips.iter().any(|ip| ip.address.is_ipv6() == ipv6) {
            have.extend(address::list(socket, link.index, ipv6)?);
        }
    }
    for ip in ips {
        match have.iter().find(|a| a.address == ip.address) {
            None => findings.add(format!("{name} lacks the address {}", ip.address)),
            Some(a) if a.dad_failed => {
                findings.add(format!("{name}'s address {} is a duplicate", ip.address));
            }
            Some(_) => {}
        }
    }
    for wanted in routes {
        let ipv6 = wanted.dst.is_ipv6();
        let have = route::list(socket, link.index, ipv6, wanted.table())?;
        let there = have.iter().any(|have| serves(have, wanted));
        // A later plugin of the chain may have moved it to a table of its own: sbr, vrf.
        let moved = || {
            let all = route::anywhere(socket, link.index, ipv6)?;
            Ok::<_, Error>(wanted.table.is_none() && all.iter().any(|have| serves(have, wanted)))
        };
        if !there && !moved()? {
            findings.add(format!("{name} lacks the route {wanted}"));
        }
    }
    Ok(())
}

/// True when `have` does what `wanted` asks. What was not asked for may be anything: the kernel
/// fills in metrics, and a later plugin of the chain may have refined them.
fn serves(have: &Route, wanted: &Route) -> bool {
    fn given<T: PartialEq + Copy>(have: Option<T>, wanted: Option<T>) -> bool {
        wanted.is_none() || have == wanted
    }
    have.dst == wanted.dst
        && given(have.gw, wanted.gw)
        && given(have.src, wanted.src)
        && given(have.mtu, wanted.mtu)
        && given(have.advmss, wanted.advmss)
        && given(have.priority, wanted.priority)
}

/// Compares the interface itself with its record in a result.
pub fn compare_interface(link: &Link, result: &AddResult, sandbox: &str, findings: &mut Findings) {
    let recorded = result.interfaces.iter().find(|i| i.name == link.name && i.sandbox == sandbox);
    match (recorded, link.mac) {
        (None, _) => {
            findings.add(format!("prevResult has no interface {} in {sandbox}", link.name));
        }
        (Some(recorded), Some(mac)) if !recorded.mac.is_empty() => findings.compare(
            &format!("the hardware address of {}", link.name),
            &mac.to_string(),
            &recorded.mac.to_lowercase(),
        ),
        _ => {}
    }
}

/// Compares the node's end with its record in a result.
pub fn compare_near_end(near: &Link, result: &AddResult, findings: &mut Findings) {
    if !result.interfaces.iter().any(|i| i.sandbox.is_empty() && i.name == near.name) {
        findings.add(format!("the host end {} is not named in prevResult", near.name));
    }
}

/// The addresses of a result that belong to an interface of the container: those that point at it,
/// and those that point nowhere.
pub fn own_addresses(result: &AddResult, ifname: &str, sandbox: &str) -> Vec<IpConfig> {
    let own = |ip: &&IpConfig| match ip.interface.map(|i| result.interfaces.get(i)) {
        None | Some(None) => true,
        Some(Some(interface)) => interface.name == ifname && interface.sandbox == sandbox,
    };
    result.ips.iter().filter(own).cloned().collect()
}
