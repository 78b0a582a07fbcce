//! Ports that another interface of the same container has already. Two networks of a container are
//! given the same mappings (podman and nerdctl do so); the first one's serve. Those of the others
//! are kept in maps that are looked into later, one level for each that was there before, so that
//! they serve as soon as the container has left the networks before.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Result;
use kernel::netfilter::Socket;

use super::group::Group;
use super::layout::PORTS;
use super::listing::owner_of;
use super::wanted::{Item, Wanted};
use crate::nft::{Element, Holds, Key, Set};
use crate::owner;

/// Of how many networks of a container the same mappings are kept, besides the first one's.
const MOST: usize = 8;

/// The places that others of the container have, with the levels of what is wanted there.
#[derive(Clone, Debug, Default)]
pub(super) struct Later(BTreeMap<(Set, Key), usize>);

impl Later {
    /// The level of a mapping that would be here if nobody had it: 0 where it is.
    pub(super) fn of(&self, set: &Set, key: &Key) -> usize {
        self.0.get(&(set.clone(), key.clone())).copied().unwrap_or_default()
    }

    /// The levels of a family, without the first.
    pub(super) fn levels(&self, v6: bool) -> BTreeSet<usize> {
        let of_family = |set: &Set| set.holds == Holds::Endpoints { v6 };
        self.0.iter().filter(|((set, _), _)| of_family(set)).map(|(_, level)| *level).collect()
    }

    /// Puts an item a level further. False where it is none that can be.
    pub(super) fn put_off(&mut self, item: &Item) -> bool {
        match &item.home {
            Some(home) if item.level < MOST => {
                self.0.insert(home.clone(), item.level.saturating_add(1));
                true
            }
            _ => false,
        }
    }

    /// Where the attachment's mappings are, if not where they would be by themselves.
    pub(super) fn find(socket: &mut Socket, wanted: &Wanted) -> Result<Self> {
        let (mut later, own) = (Self::default(), wanted.owner());
        let items = wanted.items(&later);
        let gets: Vec<_> = items.iter().map(|i| i.element.set.get(&i.element.key)).collect();
        let found = socket.get_all(&gets)?;
        for (item, object) in items.iter().zip(found) {
            let there = object.and_then(|o| Element::listed(&item.element.set, &o).next());
            let other = there.as_ref().map(owner_of);
            let sibling = other.is_some_and(|other| {
                other != own && owner::container_of(other) == owner::container_of(&own)
            });
            let Some((home, key)) = item.home.clone().filter(|_| sibling || other.is_none()) else {
                continue;
            };
            let v6 = home.holds == Holds::Endpoints { v6: true };
            let maps = (1..=MOST).flat_map(|level| {
                Group::Later { v6, level }.maps(PORTS, v6).map(|map| (level, map))
            });
            let maps: Vec<_> = maps.filter(|(_, map)| map.key == home.key).collect();
            let gets: Vec<_> = maps.iter().map(|(_, map)| map.get(&key)).collect();
            let mut levels =
                maps.iter().zip(socket.get_all(&gets)?).filter_map(|((at, map), o)| {
                    let element = Element::listed(map, &o?).next()?;
                    (owner_of(&element) == own).then_some(*at)
                });
            match levels.next() {
                Some(level) => drop(later.0.insert((home, key), level)),
                None if sibling => drop(later.0.insert((home, key), 1)),
                None => {}
            }
        }
        Ok(later)
    }
}
