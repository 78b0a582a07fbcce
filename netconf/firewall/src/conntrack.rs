//! Tracked connections whose way has changed. Packets of a connection go where its first one went,
//! so one that began before a port led into a container, or led into another one, never comes to
//! it: for a protocol without connections that is for as long as somebody keeps sending.
//!
//! The kernel filters what it lists (`CTA_FILTER`, since 5.8; one that does not know it lists more,
//! and what it lists is looked at again). It goes through its whole table for that all the same,
//! some milliseconds, so nothing is listed where nothing can be found.

mod entry;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use kernel::Result;
use kernel::netfilter::{Request, Socket};
use kernel::sysctl;

use self::entry::{Entry, Filter};
use crate::ports::{Protocol, Wanted};
use crate::socket::{is_absent, with_socket};

/// Forgets the connections that were sent on to these endpoints, where the port 0 stands for all.
pub(crate) fn forget_destinations(endpoints: &[SocketAddr]) -> Result<()> {
    for v6 in [false, true] {
        let of_family: Vec<_> = endpoints.iter().filter(|e| e.is_ipv6() == v6).collect();
        let addresses: BTreeSet<IpAddr> = of_family.iter().map(|e| e.ip()).collect();
        let alone = addresses.first().copied().filter(|_| addresses.len() == 1);
        if addresses.is_empty() {
            continue;
        }
        forget(
            &Filter { v6, translated: true, answers_from: alone, ..Filter::default() },
            |entry| {
                entry.translated
                    && of_family.iter().any(|e| {
                        e.ip() == entry.reply.0.ip()
                            && (e.port() == 0 || e.port() == entry.reply.0.port())
                    })
            },
        )?;
    }
    Ok(())
}

/// Forgets what comes to ports that are wanted and goes elsewhere than it should, of protocols
/// without connections. (A TCP connection to somebody else is let live. SCTP's are taken for ones
/// that will be made anew.)
pub(crate) fn forget_ports(wanted: &Wanted) -> Result<()> {
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
            forget(&filter, |entry| {
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

fn forget(filter: &Filter, is_stale: impl Fn(&Entry) -> bool) -> Result<()> {
    // Where there is no such file, connections are not tracked.
    let tracked = sysctl::read("netfilter/nf_conntrack_count").unwrap_or_default();
    if matches!(tracked.as_str(), "" | "0") {
        return Ok(());
    }
    let done = with_socket(|socket| {
        let objects = socket.dump(&filter.request())?;
        let stale = objects.iter().filter_map(Entry::of).filter(is_stale);
        let requests: Vec<_> = stale.map(|entry| entry.delete()).collect();
        delete(socket, &requests)
    });
    match done {
        Err(e) if is_absent(&e) => Ok(()),
        done => done,
    }
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
