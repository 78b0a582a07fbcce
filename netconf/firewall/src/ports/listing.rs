//! Finding elements by their owners, by a look at all.

use std::collections::BTreeSet;

use kernel::Result;
use kernel::netfilter::Socket;

use super::group;
use super::layout::{self, PORTS};
use crate::nft::{Element, Set};
use crate::owner;

/// The owner in an element's comment.
pub(super) fn owner_of(element: &Element) -> &str {
    owner::split(&element.comment).0
}

/// All elements whose owner is as asked for.
pub(super) fn all(socket: &mut Socket, of: &dyn Fn(&str) -> bool) -> Result<Vec<Element>> {
    let mut found = Vec::new();
    let families = [false, true].iter().flat_map(|v6| layout::of_family(PORTS, *v6));
    for set in std::iter::once(layout::attachments(PORTS)).chain(families) {
        found.extend(of_set(socket, &set, of)?);
    }
    let conditional = of_set(socket, &layout::conditional(PORTS), of)?;
    let groups: BTreeSet<_> = conditional.iter().filter_map(|e| e.counter.clone()).collect();
    for map in groups.iter().filter_map(|group| group::maps_of(group)).flatten() {
        found.extend(of_set(socket, &map, of)?);
    }
    found.extend(conditional);
    Ok(found)
}

/// Those of one set.
pub(super) fn of_set(
    socket: &mut Socket,
    set: &Set,
    of: &dyn Fn(&str) -> bool,
) -> Result<Vec<Element>> {
    let objects = socket.dump(&set.all())?;
    let elements = objects.iter().flat_map(|object| Element::listed(set, object));
    Ok(elements.filter(|element| of(owner_of(element))).collect())
}
