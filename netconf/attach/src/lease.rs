//! The addresses of an attachment, as long as its ADD lasts.

use cni::{AddResult, Call, Code, Error, IfName, Route};
use ipam::Ipam;
use kernel::link;

use crate::ends::Ends;
use crate::undo::Undo;
use crate::{container, veth};

/// Asks for addresses, for the interface of index `interface` in the result, and registers the way
/// back. When our own address manager fails, it has nothing to give back: what the attachment may
/// hold then is of an earlier ADD, and stays. (An executed one that breaks without a word
/// is told DEL by `cni::delegate`.)
pub fn take<'a>(
    ipam: &'a Ipam,
    call: &'a Call,
    interface: usize,
    undo: &mut Undo<'a>,
) -> Result<AddResult, Error> {
    let mut result = ipam.add(call)?;
    undo.push(|| ipam.del(call).map(drop));
    if result.ips.is_empty() {
        return Err(Error::new(
            Code::CONFIG,
            format!("ipam.type {:?}: gave no address", ipam.kind()),
        )
        .details("leave ipam out for a network without addresses"));
    }
    for (index, route) in result.routes.iter().enumerate() {
        check(index, route)?;
    }
    for ip in &mut result.ips {
        ip.interface = Some(interface);
    }
    Ok(result)
}

/// [`take`], of a manager that speaks through the interface: that has been made, and is set up. `near`
/// is the name of its other end, which has to carry packets first.
pub fn take_through<'a>(
    ipam: &'a Ipam,
    ends: &'a Ends<'a>,
    near: &IfName,
    interface: usize,
    undo: &mut Undo<'a>,
) -> Result<AddResult, Error> {
    container::bring_up(&ends.netns, &ends.inner, ends.ifname())?;
    link::wait_until_up(&ends.host, near.as_str(), veth::PATIENCE)?;
    take(ipam, ends.call, interface, undo)
}

/// Refuses a route that no router could take: with a gateway of another family.
fn check(index: usize, route: &Route) -> Result<(), Error> {
    match route.gw {
        Some(gw) if gw.is_ipv6() != route.dst.is_ipv6() => Err(Error::new(
            Code::CONFIG,
            format!("routes[{index}] {} gw {gw}: the gateway is of another family", route.dst),
        )
        .details("give the route a gateway of its destination's family, or none")),
        _ => Ok(()),
    }
}
