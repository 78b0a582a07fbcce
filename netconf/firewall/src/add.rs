//! ADD: one transaction.

use kernel::netfilter::{Request, Socket};
use kernel::{Error, Result};

use crate::layout;
use crate::nft::{Element, Key};
use crate::owner;
use crate::remove::ATTEMPTS;
use crate::wanted::Wanted;

/// Makes what is wanted, all of it or nothing. What already is as wanted stays; an element that
/// holds the address or the link for somebody else is a dead attachment's, because both are ours
/// now, and is replaced.
///
/// The common case is one request: the elements alone. Only when the kernel answers that a table
/// or chain is missing are these sent along, and only when it answers that an element exists is
/// that looked at.
pub fn add(wanted: &Wanted) -> Result<()> {
    let elements = wanted.elements();
    if elements.is_empty() {
        return Ok(());
    }
    let mut socket = Socket::open()?;
    let (mut with_layout, mut with_survey) = (false, false);
    for attempt in 1.. {
        let mut batch = if with_layout { layout_for(wanted) } else { Vec::new() };
        if with_survey {
            replace(&mut socket, &elements, &mut batch)?;
        } else {
            batch.extend(elements.iter().map(Element::insert));
        }
        let Err(refused) = socket.transact(&batch, None) else { break };
        // What another process makes or removes meanwhile is answered by trying again.
        with_layout |= refused.has(libc::ENOENT);
        with_survey |= refused.has(libc::EEXIST) || (with_survey && refused.has(libc::ENOENT));
        let passing = refused.has(libc::ENOENT) || refused.has(libc::EEXIST);
        if !passing || attempt >= ATTEMPTS {
            return Err(Error::from(refused));
        }
    }
    Ok(())
}

fn layout_for(wanted: &Wanted) -> Vec<Request> {
    let mut batch = Vec::new();
    if wanted.masquerade.is_some() {
        batch.extend(layout::masquerade());
        batch.extend(wanted.groups().iter().flat_map(crate::group::Group::create));
    }
    if wanted.antispoof.is_some() {
        batch.extend(layout::antispoof());
    }
    batch
}

/// Compares with what there is, and asks for the difference.
fn replace(socket: &mut Socket, elements: &[Element], batch: &mut Vec<Request>) -> Result<()> {
    let gets: Vec<_> = elements.iter().map(|e| e.set.get(&e.key)).collect();
    let found = socket.get_all(&gets)?;
    for (element, object) in elements.iter().zip(found) {
        let there = object.and_then(|object| Element::listed(element.set, &object).next());
        match there {
            Some(there) if there == *element => continue,
            Some(there) => {
                batch.push(element.set.delete(&element.key));
                // A guarded link that had another hardware address: that one is not its any more.
                if let (Key::Link(link), (_, Some(mac))) =
                    (&there.key, owner::split(&there.comment))
                {
                    let stale = Key::LinkAndMac(link.clone(), mac);
                    let wanted = elements.iter().any(|e| e.key == stale);
                    if !wanted && socket.get(layout::ALLOWED.get(&stale))?.is_some() {
                        batch.push(layout::ALLOWED.delete(&stale));
                    }
                }
            }
            None => {}
        }
        batch.push(element.insert());
    }
    Ok(())
}
