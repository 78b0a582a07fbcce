//! CHECK: the attachment against the config and what ADD returned.

use cni::{AddResult, Call, Error};
use ipam::Ipam;
use kernel::link::{self, Link};
use kernel::{Socket, address, route};

use super::{Config, plan};
use crate::ends::Ends;
use crate::finding::Findings;
use crate::{container, forwarding, guard};

/// Compares everything that ADD made. Code 103 with every difference.
pub fn check(call: &Call) -> Result<(), Error> {
    let conf = Config::parse(&call.conf)?;
    let Some(prev) = &call.prev_result else { return Ok(()) };
    let ends = Ends::open(call)?;
    let mut findings = Findings::default();
    if let Some(ipam) = Ipam::of(&call.conf, &call.path)? {
        findings.adopt(ipam.check(call));
    }
    let (sandbox, ifname) = (ends.sandbox(), ends.ifname());
    let own = AddResult {
        ips: container::own_addresses(prev, ifname, &sandbox),
        routes: prev.routes.clone(),
        ..AddResult::default()
    };
    match link::get(&ends.inner, ifname)? {
        None => findings.add(format!("{ifname} is missing in {sandbox}")),
        Some(far) => {
            container::compare_interface(&far, prev, &sandbox, &mut findings);
            let routes = plan::container_side(&own).routes;
            container::compare(&ends.inner, &far, &own.ips, &routes, &mut findings)?;
            match far.peer.filter(|_| far.kind == "veth") {
                Some(index) => match link::get_by_index(&ends.host, index)? {
                    Some(near) => {
                        container::compare_near_end(&near, prev, &mut findings);
                        node_side(&ends.host, &near, &own, &mut findings)?;
                    }
                    None => findings.add(format!("the host end of {ifname} is missing")),
                },
                None => findings.add(format!("{ifname} is not one end of a veth pair")),
            }
        }
    }
    let addresses = own.ips.iter().map(|ip| ip.address).collect();
    let wanted = guard::wanted(&call.attachment, conf.masquerade.as_ref(), addresses, None);
    guard::check(wanted.as_ref(), &mut findings)?;
    findings.conclude(&call.attachment)
}

fn node_side(
    host: &Socket,
    near: &Link,
    own: &AddResult,
    findings: &mut Findings,
) -> Result<(), Error> {
    if !near.up {
        findings.add(format!("{} is down", near.name));
    }
    for ipv6 in [false, true] {
        let here = |is: bool| is == ipv6;
        if !own.ips.iter().any(|ip| here(ip.address.is_ipv6())) {
            continue;
        }
        let addresses = address::list(host, near.index, ipv6)?;
        for wanted in plan::node_addresses(own).iter().filter(|a| here(a.is_ipv6())) {
            if addresses.iter().all(|a| a.address != *wanted) {
                findings.add(format!("{} lacks the gateway address {wanted}", near.name));
            }
        }
        for wanted in plan::node_routes(own).iter().filter(|r| here(r.dst.is_ipv6())) {
            let routes = route::list(host, near.index, ipv6, wanted.table())?;
            if routes.iter().all(|r| r.dst != wanted.dst) {
                findings.add(format!("the node lacks the route {wanted} dev {}", near.name));
            }
        }
        if !forwarding::is_enabled(ipv6)? {
            let family = if ipv6 { "IPv6" } else { "IPv4" };
            findings.add(format!("the node does not forward {family}"));
        }
    }
    Ok(())
}
