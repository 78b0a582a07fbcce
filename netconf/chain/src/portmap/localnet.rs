//! Loopback addresses of the node as a source of what goes to containers: without this the kernel
//! takes an answer to 127.0.0.1 for a forgery, before it translates it back. IPv6 has no such rule.

use attach::finding::Findings;
use cni::Error;
use firewall::ports::{Snat, Wanted};
use kernel::{Socket, link, route, sysctl};

/// Sets `route_localnet` of the link that leads to the container, where the kernel has the
/// namespace's IPv4 routed and connections from loopback addresses are to be masqueraded.
///
/// `sysctl -w net.ipv4.conf.LINK.route_localnet=1`
pub(super) fn enable(wanted: &Wanted) -> Result<(), Error> {
    match key(wanted)? {
        Some(key) => Ok(sysctl::ensure(&key, "1")?),
        None => Ok(()),
    }
}

/// Compares it.
pub(super) fn check(wanted: &Wanted, findings: &mut Findings) -> Result<(), Error> {
    if let Some(key) = key(wanted)?
        && sysctl::read(&key)? != "1"
    {
        findings.add(format!("net/{key} is not 1, so 127.0.0.1 does not lead to the container"));
    }
    Ok(())
}

/// The switch of the link; `None` where none is needed, or no route leads to the container.
fn key(wanted: &Wanted) -> Result<Option<String>, Error> {
    let mapped = wanted.mappings.iter().any(|mapping| mapping.is_of(false));
    let address = wanted.addresses.iter().find(|address| address.is_ipv4());
    let Some(address) = address.filter(|_| mapped && wanted.snat != Snat::Nothing) else {
        return Ok(None);
    };
    let socket = Socket::open()?;
    let Some(found) = route::look_up(&socket, &[address.ip()]).into_iter().next() else {
        return Ok(None);
    };
    let Some(index) = found?.and_then(|route| route.link) else { return Ok(None) };
    let link = link::get_by_index(&socket, index)?;
    Ok(link.map(|link| format!("ipv4/conf/{}/route_localnet", link.name)))
}
