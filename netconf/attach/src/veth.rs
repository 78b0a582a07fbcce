//! The veth pair of an attachment: made, found again and removed.

use std::time::Duration;

use cni::{Attachment, Code, Error, IfName};
use kernel::link::{self, Link, PortOptions, Veth};
use kernel::{MacAddr, Netns, Socket};

use crate::ends::Ends;
use crate::undo::Undo;
use crate::{owner, router};

/// How long a pair may take to carry packets. It takes microseconds where nothing is wrong.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How often a host name that somebody else has taken is given up for another.
const NAME_ATTEMPTS: u32 = 4;

/// What is wanted of the pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// The container end's address; random when `None`.
    pub mac: Option<MacAddr>,
    /// The MTU of both ends.
    pub mtu: Option<u32>,
    /// The bridge that the host end becomes a port of, by index, and its port options.
    pub port: Option<(u32, PortOptions)>,
}

/// Makes the pair: the host end up, in its bridge and marked as ours, the container end down, in
/// its namespace under its name. Gives the host end's name.
pub fn create<'a>(
    ends: &'a Ends<'_>,
    wanted: &Wanted,
    undo: &mut Undo<'a>,
) -> Result<IfName, Error> {
    let name = make(&ends.host, &ends.netns, &ends.call.attachment, wanted)?;
    let near = name.clone();
    undo.push(move || match ends.host.run(link::delete_by_name(near.as_str())) {
        Err(e) if !e.is_gone() => Err(e.into()),
        _ => Ok(()),
    });
    Ok(name)
}

/// The host end as it is now.
pub fn near_end(host: &Socket, name: &IfName) -> Result<Link, Error> {
    link::get(host, name.as_str())?.ok_or_else(|| {
        Error::new(Code::TRY_AGAIN, format!("the host end {name} vanished meanwhile"))
    })
}

fn make(
    host: &Socket,
    netns: &Netns,
    attachment: &Attachment,
    wanted: &Wanted,
) -> Result<IfName, Error> {
    let alias = owner::alias(attachment);
    for attempt in 0..NAME_ATTEMPTS {
        let name = owner::link_name(attachment, attempt);
        let pair = link::create_veth(&Veth {
            name: &name,
            mac: None,
            master: wanted.port.map(|(bridge, _)| bridge),
            mtu: wanted.mtu,
            peer_name: attachment.ifname.as_str(),
            peer_mac: wanted.mac,
            peer_netns: Some(netns),
        });
        match host.run(pair) {
            Ok(()) => return mark(host, &name, &alias, wanted),
            Err(e) if e.is_exists() => {}
            Err(e) => return Err(e.into()),
        }
        // Either end's name may be the one that is taken.
        let Some(taken) = link::get(host, &name)? else {
            return Err(interface_exists(attachment, netns));
        };
        if taken.kind == "veth" && taken.alias.as_deref() == Some(&alias) {
            return Err(interface_exists(attachment, netns).details(format!(
                "its host end {name} is there; DEL {attachment} before it is added again"
            )));
        }
    }
    Err(Error::new(Code::CONFLICT, format!("every name for the host end of {attachment} is taken")))
}

/// Marks a new host end as ours and sets what cannot be set when a link is made. Only now, because
/// these requests go by the name, which was another's until the pair was made.
fn mark(host: &Socket, name: &str, alias: &str, wanted: &Wanted) -> Result<IfName, Error> {
    let mut requests = vec![link::set_alias(name, alias)];
    match wanted.port {
        Some((_, options)) if options != PortOptions::default() => {
            requests.push(link::set_port(name, options));
        }
        Some(_) => {}
        None => router::prepare(name),
    }
    let outcome: Result<(), _> = host.run_all(&requests).into_iter().collect();
    if let Err(e) = outcome {
        // The pair is there, but not as wanted.
        let _ = host.run(link::delete_by_name(name));
        return Err(e.into());
    }
    name.parse()
}

/// The error of an ADD whose interface is there already.
pub fn interface_exists(attachment: &Attachment, netns: &Netns) -> Error {
    Error::new(
        Code::CONFLICT,
        format!(
            "CNI_IFNAME {}: an interface of that name exists in {}",
            attachment.ifname,
            netns.path().display()
        ),
    )
}

/// The host end of an attachment of ours, `None` when there is none.
pub fn find(host: &Socket, attachment: &Attachment) -> kernel::Result<Option<Link>> {
    let alias = owner::alias(attachment);
    for attempt in 0..NAME_ATTEMPTS {
        // A missing name says nothing of the next: who had taken it may be gone since.
        let Some(link) = link::get(host, &owner::link_name(attachment, attempt))? else {
            continue;
        };
        // A process that was killed between making the pair and marking it leaves no alias.
        if link.kind == "veth" && link.alias.as_ref().is_none_or(|a| *a == alias) {
            return Ok(Some(link));
        }
    }
    Ok(None)
}

/// Deletes a link, which may be gone.
pub fn remove(socket: &Socket, link: &Link) -> kernel::Result<()> {
    match socket.run(link::delete(link.index, &link.name)) {
        Err(e) if e.is_gone() => Ok(()),
        other => other,
    }
}

/// Removes a pair whose host end is not ours by its container end: one that the reference plugins
/// made is found only there. A link that another attachment of ours owns, or that is no veth, stays.
pub fn remove_foreign(host: &Socket, netns: &Netns, attachment: &Attachment) -> kernel::Result<()> {
    let container = netns.socket()?;
    let Some(inner) = link::get(&container, attachment.ifname.as_str())? else { return Ok(()) };
    if inner.kind != "veth" {
        return Ok(());
    }
    if let Some(peer) = inner.peer
        && let Some(outer) = link::get_by_index(host, peer)?
        && outer.kind == "veth"
        && outer
            .alias
            .is_some_and(|alias| owner::is_ours(&alias) && alias != owner::alias(attachment))
    {
        return Ok(());
    }
    remove(&container, &inner)
}
