//! Giving a device back: the one way for an ADD that fails, DEL, GC, and the repair by the next ADD. It
//! compares with the record and mends what differs, so it can be run any number of times.

use cni::{Code, Error};
use devices::DeviceId;
use kernel::Socket;
use kernel::link::{self, Link};

use crate::desk::Desk;
use crate::locate::{Away, Located, locate};
use crate::mend;
use crate::record::{Original, Phase, Record};
use crate::standing::Standing;
use crate::virtual_function;

/// Gives a device back and removes its record. The device's lock must be held. When it fails, the record
/// stays, and whoever comes next goes on.
pub fn back(desk: &Desk, id: &DeviceId, record: &Record) -> Result<(), Error> {
    if Standing::of(desk, id, record)? != Standing::Past {
        if record.phase != Phase::Releasing {
            let releasing = Record { phase: Phase::Releasing, ..record.clone() };
            if let Err(e) = desk.journal.write(&releasing) {
                // A full disk is no reason to keep a device. What the record says stays true: it is the
                // owner's until it is removed, and the next DEL or GC goes on.
                cni::warn(e);
            }
        }
        let mut errors = Vec::new();
        // The physical function first: it decides whether a VF may change its own address.
        errors.extend(virtual_function::restore(desk, record, record.original.is_some()).err());
        if let Some(was) = &record.original {
            errors.extend(bring_home(desk, id, record, was).err());
        }
        Error::all(errors)?;
    }
    desk.journal.remove(id)
}

fn bring_home(desk: &Desk, id: &DeviceId, record: &Record, was: &Original) -> Result<(), Error> {
    let link = match locate(desk, id, record)? {
        // A program drives it now, so that its address is its physical function's matter alone.
        Located::Gone => return virtual_function::restore(desk, record, false),
        Located::Home(link) => link,
        Located::Away(away) => fetch(desk, id, was, &away)?,
    };
    let index = link.index;
    rename(desk, id, was, &link)?;
    let address = virtual_function::give_mac(desk, record, index, &was.name);
    mend::at_home_again(&desk.host, index, was).and(address)
}

/// Moves an interface home, under its own name or, when somebody else has that, under a spare one.
fn fetch(desk: &Desk, id: &DeviceId, was: &Original, away: &Away) -> Result<Link, Error> {
    let Away { netns: _, socket, link } = away;
    if link.up {
        socket.run(link::set_down(link.index, &link.name))?;
    }
    mend::before_moving(socket, link, was);
    remove_upon(socket, link)?;
    for name in [was.name.clone(), mend::spare_name(id)] {
        let taken = link::get(&desk.host, &name)?.is_some();
        if taken {
            continue;
        }
        // Its own name may be an alternative one of it now, and any of those may be taken at home.
        let current = link::get_by_index(socket, link.index)?.unwrap_or_else(|| link.clone());
        for other in &current.alternative_names {
            if *other == name || link::get(&desk.host, other)?.is_some() {
                socket.run(link::delete_altname(link.index, &current.name, other))?;
            }
        }
        socket.run(link::relocate(link.index, &current.name, &desk.home, &name))?;
        return link::get(&desk.host, &name)?.ok_or_else(|| {
            Error::new(Code::TRY_AGAIN, format!("{name} vanished after it came home"))
        });
    }
    Err(Error::new(
        Code::CONFLICT,
        format!("{id}: the names {} and {} are taken on the node", was.name, mend::spare_name(id)),
    )
    .details("rename the link that has the first"))
}

/// Removes what the container has made upon its interface, a VLAN or a macvlan: it would go on to work, in
/// the container, upon the node's interface, and upon that of the next container.
fn remove_upon(socket: &Socket, link: &Link) -> Result<(), Error> {
    for upper in link::list(socket)?.iter().filter(|upper| upper.is_upon(link.index)) {
        match socket.run(link::delete(upper.index, &upper.name)) {
            Err(e) if !e.is_gone() => return Err(e.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Gives an interface at home its name again. When somebody else has it, the spare name tells the device.
fn rename(desk: &Desk, id: &DeviceId, was: &Original, link: &Link) -> Result<(), Error> {
    if link.name == was.name {
        return Ok(());
    }
    let spare = mend::spare_name(id);
    let free = match link::get(&desk.host, &was.name)? {
        None => true,
        Some(other) if other.index == link.index => {
            desk.host.run(link::delete_altname(link.index, &link.name, &was.name))?;
            true
        }
        Some(_) => false,
    };
    let name = if free { &was.name } else { &spare };
    if !free {
        cni::warn(format_args!(
            "{} is taken on the node by another link: {id} is called {spare} from now on",
            was.name
        ));
    }
    if link.name == *name {
        return Ok(());
    }
    match desk.host.run(link::set_name(link.index, &link.name, name)) {
        // Before 6.2 only while it is down.
        Err(e) if e.errno() == libc::EBUSY => {
            desk.host.run(link::set_down(link.index, &link.name))?;
            Ok(desk.host.run(link::set_name(link.index, &link.name, name))?)
        }
        other => Ok(other?),
    }
}
