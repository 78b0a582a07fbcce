//! Finding a device's network interface, wherever it is and whatever it is called.

use std::time::Duration;

use cni::{Code, Error};
use devices::DeviceId;
use kernel::events::{Events, Group};
use kernel::link::{self, Link};
use kernel::{Netns, Socket};

use crate::desk::Desk;
use crate::mend::spare_name;
use crate::record::{Identity, Record};
use crate::standing::owners_namespace;

/// How long the kernel is waited for, which takes the links out of a namespace that died some time after
/// its last process (net/core/net_namespace.c, `cleanup_net`).
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a device's interface is.
#[derive(Debug)]
pub enum Located {
    /// In the node's namespace.
    Home(Link),
    /// In another one.
    Away(Away),
    /// Nowhere, and it will not come back: it was a virtual one that died with its namespace, or a program
    /// drives the device now.
    Gone,
}

/// An interface in another namespace than the node's.
#[derive(Debug)]
pub struct Away {
    /// The namespace.
    pub netns: Netns,
    /// A socket in it.
    pub socket: Socket,
    /// The interface.
    pub link: Link,
}

/// Finds the interface of a record's device. Code 11 when the kernel has not given it back yet.
pub fn locate(desk: &Desk, id: &DeviceId, record: &Record) -> Result<Located, Error> {
    if let Some(netns) = owners_namespace(record)?
        && let Some(away) = look_into(desk, netns, record)?
    {
        return Ok(Located::Away(away));
    }
    if let Some(found) = look_around(desk, record)? {
        return Ok(found);
    }
    if !record.identity.kind.is_empty() || !still_has_interface(desk, id) {
        return Ok(Located::Gone);
    }
    wait(desk, id, record)
}

/// The kernel gives a physical device of a namespace that died to the initial namespace, asynchronously.
fn wait(desk: &Desk, id: &DeviceId, record: &Record) -> Result<Located, Error> {
    let open = || Events::open(Group::Link);
    let events = match Netns::initial() {
        Some(initial) => initial.enter(open)?,
        None => open()?,
    };
    let mut failed = None;
    let outcome =
        events.wait("the interface to come back", PATIENCE, || match look_around(desk, record) {
            Ok(found) => Ok(found),
            Err(e) => {
                failed = Some(e);
                Ok(Some(Located::Gone))
            }
        });
    match (failed, outcome) {
        (Some(e), _) => Err(e),
        (None, Ok(found)) => Ok(found),
        (None, Err(e)) if e.errno() == libc::ETIMEDOUT => Err(Error::new(
            Code::TRY_AGAIN,
            format!(
                "{id}: its network interface is neither in {} nor on the node",
                record.owner.netns.display()
            ),
        )
        .details(
            "a process may keep the container's namespace alive, or the container moved the interface \
             on; it is looked for again by the next DEL, GC or ADD",
        )),
        (None, Err(e)) => Err(e.into()),
    }
}

/// In the node's own namespace and in the machine's initial one.
fn look_around(desk: &Desk, record: &Record) -> Result<Option<Located>, Error> {
    if let Some(link) = find(desk, &desk.host, record, true)? {
        return Ok(Some(Located::Home(link)));
    }
    match Netns::initial() {
        Some(initial) => Ok(look_into(desk, initial, record)?.map(Located::Away)),
        None => Ok(None),
    }
}

fn look_into(desk: &Desk, netns: Netns, record: &Record) -> Result<Option<Away>, Error> {
    let socket = netns.socket()?;
    Ok(find(desk, &socket, record, false)?.map(|link| Away { netns, socket, link }))
}

/// The interface in a namespace.
fn find(desk: &Desk, socket: &Socket, record: &Record, home: bool) -> Result<Option<Link>, Error> {
    let identity = &record.identity;
    let own = |link: &Link| -> Result<bool, Error> {
        Ok(is(link, record, home) && (!identity.pair_at_home || is_pair_of_ours(desk, link)?))
    };
    for index in [identity.inside, identity.index].into_iter().flatten() {
        if let Some(link) = link::get_by_index(socket, index)?
            && own(&link)?
        {
            return Ok(Some(link));
        }
    }
    // A device of several ports has several interfaces with the same parent.
    let mut all = link::list(socket)?;
    let original = record.original.as_ref();
    all.sort_by_key(|link| {
        let named = original.is_some_and(|was| was.name == link.name);
        (link.permanent_mac != identity.permanent_mac, !named)
    });
    for link in all {
        if own(&link)? {
            return Ok(Some(link));
        }
    }
    Ok(None)
}

/// True when it is the record's interface. What a container's users can set counts for nothing where
/// there is something better.
fn is(link: &Link, record: &Record, home: bool) -> bool {
    let Identity { index, inside, kind, peer, parent, permanent_mac, .. } = &record.identity;
    if link.kind != *kind {
        return false;
    }
    // A VF takes the administrative address for its permanent one with its next reset (igbvf).
    if let Some(parent) = parent {
        return link.parent_device.as_ref() == Some(parent);
    }
    if let (Some(was), Some(is)) = (permanent_mac, link.permanent_mac)
        && *was != is
    {
        return false;
    }
    let by_index = [*index, *inside].contains(&Some(link.index));
    if peer.is_some() {
        return link.peer == *peer && (by_index || is_called(link, record, home));
    }
    let original = record.original.as_ref();
    let same_mac = original.is_some_and(|was| link.mac == was.mac) || link.mac == record.wanted.mac;
    let same_device = permanent_mac.is_some() && link.permanent_mac == *permanent_mac;
    by_index || same_device || (same_mac && is_called(link, record, home))
}

/// True when the other end of a veth is on the node. A container that removes its end and makes another
/// pair may get the very same indexes, but not that.
pub fn is_pair_of_ours(desk: &Desk, link: &Link) -> Result<bool, Error> {
    let Some(peer) = link.peer.filter(|_| link.kind == "veth") else { return Ok(false) };
    let other = link::get_by_index(&desk.host, peer)?;
    Ok(other.is_some_and(|other| other.kind == "veth" && other.peer == Some(link.index)))
}

fn is_called(link: &Link, record: &Record, home: bool) -> bool {
    let original = record.original.as_ref();
    if home {
        original.is_some_and(|was| link.name == was.name) || link.name == spare_name(&record.device)
    } else {
        link.name == record.owner.ifname
    }
}

/// False when a program drives the device now, or nothing does: then it has no interface anywhere.
fn still_has_interface(desk: &Desk, id: &DeviceId) -> bool {
    use devices::DriverClass::{Bifurcated, Netdev};
    match id {
        DeviceId::Link(_) => true,
        _ => match desk.roots.device(id) {
            Ok(device) => matches!(device.class, Netdev | Bifurcated),
            Err(e) => e.code != Code::CONFIG,
        },
    }
}
