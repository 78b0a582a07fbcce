//! Tracked connections whose way has changed. Packets of a connection go where its first one went,
//! so one that began before a port led into a container, or led into another one, never comes to
//! it: for a protocol without connections that is for as long as somebody keeps sending.
//!
//! The kernel filters what it lists (`CTA_FILTER`, since 5.8; one that does not know it lists more,
//! and what it lists is looked at again). It goes through its whole table for that all the same, with
//! a lock for every row, some milliseconds: so nothing is listed where nothing can be found, and what
//! the kernel can forget by itself is not listed.

mod entry;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use kernel::Result;
use kernel::netfilter::{Request, Socket};
use kernel::sysctl;

use self::entry::{Entry, Filter};
use crate::ports::{Protocol, Wanted};
use crate::socket::is_absent;

/// Of so many containers at once connections are removed one container after the other.
const MOST_REMOVALS: usize = 16;

/// Forgets the connections that were sent on to containers with these addresses, which are gone.
pub(crate) fn forget_containers(socket: &mut Socket, addresses: &BTreeSet<IpAddr>) -> Result<()> {
    for v6 in [false, true] {
        let of_family: Vec<_> = addresses.iter().filter(|a| a.is_ipv6() == v6).collect();
        if of_family.len() <= MOST_REMOVALS && remove(socket, v6, &of_family)? {
            continue;
        }
        let filter = Filter { v6, translated: true, ..Filter::default() };
        if let [address] = of_family[..] {
            let filter = Filter { answers_from: Some(*address), ..filter };
            forget(socket, &filter, |entry| entry.translated && entry.reply.0.ip() == *address)?;
        } else if !of_family.is_empty() {
            forget(socket, &filter, |entry| {
                entry.translated && addresses.contains(&entry.reply.0.ip())
            })?;
        }
    }
    Ok(())
}

/// Has the kernel itself forget what it finds; false where it cannot (before 6.11).
fn remove(socket: &mut Socket, v6: bool, addresses: &[&IpAddr]) -> Result<bool> {
    if addresses.is_empty() || !are_tracked() {
        return Ok(true);
    }
    let of = |address: &&IpAddr| {
        let answers_from = Some(**address);
        Filter { v6, translated: true, answers_from, ..Filter::default() }.removal()
    };
    let requests: Vec<_> = addresses.iter().map(of).collect();
    for outcome in socket.run_all(&requests)? {
        match outcome {
            Err(e) if is_absent(&e) || e.errno() == libc::EOPNOTSUPP => return Ok(false),
            // A kernel that looks for one connection has found none.
            Err(e) if e.errno() == libc::ENOENT => return Ok(false),
            done => done?,
        }
    }
    Ok(true)
}

/// Forgets the connections that were sent on to these endpoints.
pub(crate) fn forget_destinations(socket: &mut Socket, endpoints: &[SocketAddr]) -> Result<()> {
    for v6 in [false, true] {
        if endpoints.iter().any(|endpoint| endpoint.is_ipv6() == v6) {
            let filter = Filter { v6, translated: true, ..Filter::default() };
            forget(socket, &filter, |entry| {
                entry.translated && endpoints.contains(&entry.reply.0)
            })?;
        }
    }
    Ok(())
}

/// Forgets what comes to ports that are wanted and goes elsewhere than it should, of protocols
/// without connections. (A TCP connection to somebody else is let live. SCTP's are taken for ones
/// that will be made anew.)
pub(crate) fn forget_ports(socket: &mut Socket, wanted: &Wanted) -> Result<()> {
    for v6 in [false, true] {
        for protocol in [Protocol::Udp, Protocol::Sctp] {
            let of = wanted.forwards(v6).filter(|(mapping, _)| mapping.protocol == protocol);
            let forwards: Vec<_> = of.collect();
            let Some((first, _)) = forwards.first() else { continue };
            let same = forwards.iter().all(|(mapping, _)| mapping.host_port == first.host_port);
            let filter = Filter {
                v6,
                protocol: Some(protocol.number()),
                port: same.then_some(first.host_port),
                ..Filter::default()
            };
            forget(socket, &filter, |entry| {
                let Entry { protocol: number, original, reply, .. } = entry;
                forwards.iter().any(|(mapping, to)| {
                    *number == protocol.number()
                        && original.1.port() == mapping.host_port
                        && reply.0 != *to
                        && match mapping.address() {
                            Some(address) => address == original.1.ip(),
                            None => is_local(original.1.ip()),
                        }
                })
            })?;
        }
    }
    Ok(())
}

/// Whether there is any connection. Where there is no such file, none is tracked.
fn are_tracked() -> bool {
    let tracked = sysctl::read("netfilter/nf_conntrack_count").unwrap_or_default();
    !matches!(tracked.as_str(), "" | "0")
}

fn forget(socket: &mut Socket, filter: &Filter, is_stale: impl Fn(&Entry) -> bool) -> Result<()> {
    if !are_tracked() {
        return Ok(());
    }
    let objects = match socket.dump(&filter.request()) {
        Err(e) if is_absent(&e) => return Ok(()),
        listed => listed?,
    };
    let stale = objects.iter().filter_map(Entry::of).filter(is_stale);
    let requests: Vec<_> = stale.map(|entry| entry.delete()).collect();
    delete(socket, &requests)
}

/// What has gone by itself meanwhile is as it should be.
fn delete(socket: &mut Socket, requests: &[Request]) -> Result<()> {
    for outcome in socket.run_all(requests)? {
        match outcome {
            Err(e) if e.errno() == libc::ENOENT => {}
            done => done?,
        }
    }
    Ok(())
}

/// Whether an address is this machine's own. (A node that lets anybody bind to any address has
/// more forgotten than it must.)
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}
