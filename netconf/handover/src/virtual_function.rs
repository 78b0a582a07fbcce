//! The VF of a record, through its physical function.

use attach::finding::Findings;
use cni::Error;
use kernel::link::{self, Link, Vf};
use kernel::{MacAddr, Socket};

use crate::desk::Desk;
use crate::give::with_pf;
use crate::record::{Record, VfPlace};
use crate::vf::{Handle, VfWanted};
use crate::{OnUnsupported, Wanted};

/// The VF as it is, where something is to be set of it. Where nothing can be, that is refused, or left out
/// with a warning.
pub fn read(desk: &Desk, place: &VfPlace, wanted: &Wanted) -> Result<Option<Vf>, Error> {
    if wanted.vf.is_empty() {
        return Ok(None);
    }
    with_pf(desk, place.pf, place.number, |handle| {
        let listed = handle.read()?;
        if listed.is_some() {
            return Ok(listed);
        }
        handle.refuse_unlisted(&wanted.vf, wanted.on_unsupported)?;
        // Its representor is no matter of the list.
        Ok(wanted.vf.trunk.as_ref().map(|_| Vf::default()))
    })
}

/// Has the physical function set what is wanted; the address only of a VF without an interface, and see
/// [`take_mac`]. The record then says what is in force.
pub fn set(desk: &Desk, record: &mut Record, unsupported: OnUnsupported) -> Result<(), Error> {
    let asked = record.wanted.vf.clone();
    let now = if record.original.is_some() { asked.without_mac() } else { asked.clone() };
    let set = |handle: &Handle<'_>, original: &Vf| {
        now.mac.map_or(Ok(()), |mac| handle.refuse_taken(mac))?;
        handle.apply(original, &now, unsupported)
    };
    if let Some(in_force) = through_pf(desk, record, set)? {
        record.wanted.vf = VfWanted { mac: asked.mac, ..in_force };
    }
    Ok(())
}

/// Gives the VF its address, on both sides. False when that is no matter of a physical function.
pub fn take_mac(
    desk: &Desk,
    record: &mut Record,
    inner: &Socket,
    inside: &Link,
) -> Result<bool, Error> {
    let Some(mac) = record.wanted.vf.mac else { return Ok(false) };
    let mut own = |mac: MacAddr| inner.run(link::set_mac(inside.index, &inside.name, mac));
    let known = record.clone();
    let done = through_pf(desk, &known, |handle, original| {
        // Another VF may have got it since the options were read.
        handle.refuse_taken(mac)?;
        handle.take_mac(original, mac, &mut own, &mut |original| {
            record.original_vf = Some(original.clone());
            desk.journal.write(record)
        })
    })?;
    Ok(done.is_some())
}

/// Sets back what the physical function decides: the address only of a VF without an interface, and see
/// [`give_mac`].
pub fn restore(desk: &Desk, record: &Record, has_interface: bool) -> Result<(), Error> {
    let asked = &record.wanted.vf;
    let asked = if has_interface { asked.without_mac() } else { asked.clone() };
    let restore = |handle: &Handle<'_>, original: &Vf| Error::all(handle.restore(original, &asked));
    through_pf(desk, record, restore).map(drop)
}

/// Gives the VF, which is at home again, its address back, on both sides.
pub fn give_mac(desk: &Desk, record: &Record, index: u32, name: &str) -> Result<(), Error> {
    let mac = record.original.as_ref().and_then(|was| was.mac);
    let (Some(mac), Some(_)) = (mac, record.wanted.vf.mac) else { return Ok(()) };
    let mut own = |mac: MacAddr| desk.host.run(link::set_mac(index, name, mac));
    through_pf(desk, record, |handle, original| handle.give_mac(original, mac, &mut own)).map(drop)
}

/// Adds what differs between a VF and what was asked of its physical function.
pub fn compare(desk: &Desk, record: &Record, findings: &mut Findings) -> Result<(), Error> {
    let compare = |handle: &Handle<'_>, _: &Vf| handle.compare(&record.wanted.vf, findings);
    through_pf(desk, record, compare).map(drop)
}

/// `None` when the record is of no VF, or of one of which nothing was asked.
fn through_pf<T>(
    desk: &Desk,
    record: &Record,
    ask: impl FnOnce(&Handle<'_>, &Vf) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let (Some(original), Some(place)) = (&record.original_vf, &record.identity.vf) else {
        return Ok(None);
    };
    with_pf(desk, place.pf, place.number, |handle| ask(handle, original)).map(Some)
}
