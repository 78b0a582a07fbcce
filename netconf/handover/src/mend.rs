//! Making an interface on the host what it was before.

use cni::{Code, Error};
use devices::DeviceId;
use ipnetwork::IpNetwork;
use kernel::link::{self, Link};
use kernel::route::{self, Route};
use kernel::{Request, Socket, address};

use crate::record::{Carried, Original, Prefix};

/// The longest name of a link (`IFNAMSIZ` less its NUL).
const LONGEST_NAME: usize = 15;

/// A thing that is not as it was, and what mends it.
struct Difference {
    what: String,
    requests: Vec<Request>,
}

impl Difference {
    fn new(what: impl Into<String>, request: Request) -> Self {
        Self { what: what.into(), requests: vec![request] }
    }
}

/// The name under which a device stays on the host when somebody else has its own: `d0000-01-10-0` for a
/// PCI device.
pub fn spare_name(id: &DeviceId) -> String {
    let text = match id {
        DeviceId::Pci(address) => address.to_string(),
        DeviceId::Aux(_) | DeviceId::Link(_) => id.to_string(),
    };
    let text: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let kept = text.len().saturating_sub(LONGEST_NAME - 1);
    format!("d{}", text.get(kept..).unwrap_or(&text))
}

/// What can be mended wherever the interface is, even before it is moved home, so that nobody ever sees
/// it there in a container's state: address, MTU, modes, alias, names that it did not have.
fn own(link: &Link, was: &Original) -> Vec<Difference> {
    let (index, name) = (link.index, link.name.as_str());
    let mut all = Vec::new();
    for other in &link.alternative_names {
        if !was.alternative_names.contains(other) {
            let request = link::delete_altname(index, name, other);
            all.push(Difference::new(format!("the alternative name {other}"), request));
        }
    }
    if let Some(mac) = was.mac
        && link.mac != Some(mac)
    {
        all.push(Difference::new("the hardware address", link::set_mac(index, name, mac)));
    }
    if link.mtu != was.mtu {
        all.push(Difference::new("the MTU", link::set_mtu(index, name, was.mtu)));
    }
    if link.promiscuous != was.promiscuous {
        let request = link::set_promiscuous(index, name, was.promiscuous);
        all.push(Difference::new("the promiscuous mode", request));
    }
    if link.all_multicast != was.all_multicast {
        let request = link::set_all_multicast(index, name, was.all_multicast);
        all.push(Difference::new("the all-multicast mode", request));
    }
    if link.alias.as_deref().unwrap_or_default() != was.alias.as_deref().unwrap_or_default() {
        let request = match &was.alias {
            Some(alias) => link::set_alias(name, alias),
            None => link::clear_alias(index, name),
        };
        all.push(Difference::new("the alias", request));
    }
    all
}

/// What makes sense on the host alone: its other names, its state, addresses and routes.
fn at_home(socket: &Socket, link: &Link, was: &Original) -> Result<Vec<Difference>, Error> {
    let (index, name) = (link.index, link.name.as_str());
    let mut all = Vec::new();
    for other in &was.alternative_names {
        if !link.alternative_names.contains(other) && *other != link.name {
            let request = link::add_altname(index, name, other);
            all.push(Difference::new(format!("the alternative name {other}"), request));
        }
    }
    let missing = missing_addresses(socket, link, &was.addresses)?;
    all.extend(missing.into_iter().map(|prefix| {
        // Somebody may have been given it meanwhile: the kernel is to look.
        let request = address::add(link, prefix, address::Options::default());
        Difference::new(format!("the address {prefix}"), request)
    }));
    if link.up != was.up {
        let request = if was.up { link::set_up(index, name) } else { link::set_down(index, name) };
        all.push(Difference::new("the state", request));
    }
    if was.up {
        let missing = missing_routes(socket, link, &was.routes)?;
        all.extend(
            missing.into_iter().map(|route| {
                Difference::new(format!("the route {route}"), route::add(link, &route))
            }),
        );
    }
    Ok(all)
}

fn missing_addresses(
    socket: &Socket,
    link: &Link,
    wanted: &[Prefix],
) -> Result<Vec<IpNetwork>, Error> {
    let mut have = Vec::new();
    for ipv6 in [false, true] {
        if wanted.iter().any(|Prefix(prefix)| prefix.is_ipv6() == ipv6) {
            have.extend(address::list(socket, link.index, ipv6)?);
        }
    }
    let wanted = wanted.iter().map(|Prefix(prefix)| *prefix);
    Ok(wanted.filter(|prefix| have.iter().all(|has| has.address != *prefix)).collect())
}

fn missing_routes(socket: &Socket, link: &Link, wanted: &[Carried]) -> Result<Vec<Route>, Error> {
    let wanted: Vec<Route> = wanted.iter().map(Route::from).collect();
    let mut have = Vec::new();
    for ipv6 in [false, true] {
        if wanted.iter().any(|route| route.dst.is_ipv6() == ipv6) {
            have.extend(route::list(socket, link.index, ipv6, Route::table(&main()))?);
        }
    }
    let same = |a: &Route, b: &Route| a.dst == b.dst && a.gw == b.gw && a.priority == b.priority;
    Ok(wanted.into_iter().filter(|route| have.iter().all(|has| !same(has, route))).collect())
}

fn main() -> Route {
    Route::to(address::host(std::net::Ipv4Addr::UNSPECIFIED.into()))
}

/// Errors that may pass, so that it is worth trying again; others tell that the kernel will never do
/// it: the driver cannot, or the host has changed.
fn may_pass(error: &kernel::Error) -> bool {
    matches!(
        error.errno(),
        libc::EIO
            | libc::EBUSY
            | libc::EAGAIN
            | libc::EINTR
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::ETIMEDOUT
    )
}

/// Mends, before a move, what can be mended where the interface is. What fails is tried again at home.
pub fn before_moving(socket: &Socket, link: &Link, was: &Original) {
    for difference in own(link, was) {
        for request in difference.requests {
            let _ = socket.run(request);
        }
    }
}

/// Mends an interface on the host, and looks whether it is as it was. What the kernel refuses for good
/// is told on stderr, and left.
pub fn at_home_again(socket: &Socket, index: u32, was: &Original) -> Result<(), Error> {
    let mut refused: Vec<String> = Vec::new();
    // The second look finds what the first round left, and what one step took away again.
    for _ in 0..2 {
        let Some(link) = link::get_by_index(socket, index)? else { return Err(vanished(was)) };
        let mut left = own(&link, was);
        left.extend(at_home(socket, &link, was)?);
        left.retain(|difference| !refused.contains(&difference.what));
        if left.is_empty() {
            return Ok(());
        }
        for difference in left {
            if let Err(e) = mend(socket, &link, difference.requests) {
                if may_pass(&e) {
                    return Err(e.into());
                }
                cni::warn(format_args!("{} stays as it is: {e}", difference.what));
                refused.push(difference.what);
            }
        }
    }
    let Some(link) = link::get_by_index(socket, index)? else { return Err(vanished(was)) };
    let mut left = own(&link, was);
    left.extend(at_home(socket, &link, was)?);
    let left: Vec<String> =
        left.into_iter().map(|d| d.what).filter(|what| !refused.contains(what)).collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::TRY_AGAIN,
        format!("{}: the kernel set back, but does not show: {}", link.name, left.join(", ")),
    ))
}

fn mend(socket: &Socket, link: &Link, requests: Vec<Request>) -> kernel::Result<()> {
    for request in requests {
        match socket.run(request.clone()) {
            // Some drivers take an address or an MTU only while they are down.
            Err(e) if e.errno() == libc::EBUSY && link.up => {
                socket.run(link::set_down(link.index, &link.name))?;
                socket.run(request)?;
            }
            // It came by itself: with an address, by a daemon of the host.
            Err(e) if e.is_exists() && e.op.starts_with("add the") => {}
            other => other?,
        }
    }
    Ok(())
}

fn vanished(was: &Original) -> Error {
    Error::new(Code::TRY_AGAIN, format!("{} vanished while it was given back", was.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_name_tells_the_device_and_fits() {
        for (id, name) in [
            (DeviceId::Link("eth3".parse().unwrap()), "deth3"),
            (DeviceId::Link("a.very-long.nm".parse().unwrap()), "da-very-long-nm"),
        ] {
            assert_eq!(spare_name(&id), name);
            assert!(spare_name(&id).parse::<cni::IfName>().is_ok());
        }
    }
}
