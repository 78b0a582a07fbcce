//! The destinations that a network as a whole exempts from masquerade, as sets of their own: the
//! addresses of thousands of nodes change without a look at any container's rules.
//!
//! The sets belong to the node: containers come and go without them, and they stay until
//! [`remove`]. A container that is to heed them says so in [`Masquerade`](crate::Masquerade).

mod sets;

use std::collections::BTreeSet;

use cni::NetworkName;
use ipnetwork::IpNetwork;
use kernel::events::{Part, Ruleset};
use kernel::netfilter::{Refused, Request, Socket};
use kernel::{Error, Result};

use crate::layout::{self, MASQUERADE, MASQUERADE_ALONE};
use crate::nft::{self, Interval, Table};
use crate::remove::{ATTEMPTS, keeps_changing};
use crate::socket::{is_absent, with_socket, with_socket_if_any};
pub(crate) use sets::Sets;

/// How many differences [`check`] tells one by one.
const TOLD: usize = 10;

/// Has the network exempt the destinations in `wanted`, and no others: afterwards its sets are
/// there, one for each family, and hold exactly those. Networks may overlap; of one that lies in
/// another nothing is kept. Nothing is sent when nothing differs, else the difference, in one
/// transaction. Tells what differed, as [`check`] does.
pub fn set(network: &NetworkName, wanted: &[IpNetwork]) -> Result<Vec<String>> {
    let sets = Sets::of(network);
    let intervals = [false, true].map(|v6| Interval::disjoint(wanted, v6));
    with_socket(|socket| {
        let mut anew = false;
        for attempt in 1.. {
            let found = match Found::look(socket, &sets) {
                Err(error) if error.errno() == libc::EAGAIN && attempt < ATTEMPTS => continue,
                found => found?,
            };
            let batch = found.difference(&sets, &intervals, anew);
            if batch.is_empty() {
                break;
            }
            let Err(refused) = socket.transact(&batch, found.generation) else {
                return Ok(found.words(network, &sets, wanted));
            };
            // Elements that are not as they were listed are all sent again.
            let passing = refused.has(libc::ERESTART) || !anew && is_conflict(&refused);
            anew |= is_conflict(&refused);
            if !passing || attempt >= ATTEMPTS {
                return Err(refused.into());
            }
        }
        Ok(Vec::new())
    })
}

fn is_conflict(refused: &Refused) -> bool {
    [libc::EEXIST, libc::ENOENT, libc::ENOTEMPTY].iter().any(|errno| refused.has(*errno))
}

/// Compares what the network exempts with `wanted`, by [`set`]'s rules: the differences in words,
/// of many elements the first ones and how many more there are.
pub fn check(network: &NetworkName, wanted: &[IpNetwork]) -> Result<Vec<String>> {
    let sets = Sets::of(network);
    with_socket(|socket| {
        for _ in 0..ATTEMPTS {
            match Found::look(socket, &sets) {
                Err(error) if error.errno() == libc::EAGAIN => {}
                found => return Ok(found?.words(network, &sets, wanted)),
            }
        }
        Err(keeps_changing("list", "the ruleset"))
    })
}

/// True when the network's sets are there and were filled by [`set`]. Costs one question, and does
/// not grow with the sets; what they hold is not looked at. It becomes false with the ruleset
/// flushed, and is still false when an ADD has then made them again, empty.
pub fn is_there(network: &NetworkName) -> Result<bool> {
    match with_socket(|socket| socket.get_all(&Sets::of(network).look_up())) {
        Ok(there) => Ok(there.iter().all(Option::is_some)),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// True when a change of the ruleset may have taken something of the network's sets away, or put
/// something into them. That they come is nothing: it is told that they go.
pub fn is_met_by(network: &NetworkName, change: &Ruleset) -> bool {
    if (change.family, change.table.as_str()) != (MASQUERADE.family, MASQUERADE.name) {
        return false;
    }
    match &change.part {
        Part::Table => change.gone,
        Part::Set(name) => change.gone && Sets::of(network).has_set(name),
        Part::Elements(name) => Sets::of(network).has_set(name),
        Part::Object(name) => change.gone && Sets::of(network).is_filled_by(name),
    }
}

/// Removes the network's sets, and the table when nothing else is in it. Sets that containers
/// still heed are emptied instead: call it again when these are gone. What is not there is no
/// error, nor is a kernel without nf_tables.
pub fn remove(network: &NetworkName) -> Result<()> {
    let sets = Sets::of(network);
    with_socket_if_any(|socket| {
        let mut heeded = false;
        for _ in 0..ATTEMPTS {
            let Some((batch, generation)) = removal(socket, &sets, heeded)? else { return Ok(()) };
            match socket.transact(&batch, generation) {
                Err(refused) if refused.has(libc::ERESTART) => {}
                Err(refused) if !heeded && refused.has(libc::EBUSY) => heeded = true,
                Err(refused) => return Err(Error::from(refused)),
                Ok(()) => return Ok(()),
            }
        }
        Err(keeps_changing("remove sets from", "the ruleset"))
    })
    .map(drop)
}

fn removal(
    socket: &mut Socket,
    sets: &Sets,
    heeded: bool,
) -> Result<Option<(Vec<Request>, Option<u32>)>> {
    let mut gets = vec![nft::generation(), MASQUERADE.get()];
    gets.extend(sets.look_up());
    let mut found = socket.get_all(&gets)?.into_iter();
    let generation = found.next().flatten().as_ref().and_then(nft::generation_of);
    let population = found.next().flatten().as_ref().and_then(Table::population);
    let there: Vec<_> = found.map(|object| object.is_some()).collect();
    let parts = there.iter().filter(|there| **there).count();
    if parts == 0 {
        return Ok(None);
    }
    let left = population.and_then(|all| all.checked_sub(u32::try_from(parts).ok()?));
    let batch = if left == Some(MASQUERADE_ALONE) {
        vec![MASQUERADE.delete()]
    } else {
        let all = if heeded { sets.empty() } else { sets.delete() };
        all.into_iter().zip(there).filter_map(|(request, there)| there.then_some(request)).collect()
    };
    Ok(Some((batch, generation)))
}

/// What there is of a network's sets.
struct Found {
    /// What the rest depends on.
    generation: Option<u32>,
    /// Which of [`Sets::parts`] are there.
    there: Vec<bool>,
    /// What the sets hold; `None` where that does not make up intervals.
    held: [Option<Vec<Interval>>; 2],
}

impl Found {
    fn look(socket: &mut Socket, sets: &Sets) -> Result<Self> {
        let mut gets = vec![nft::generation()];
        gets.extend(sets.look_up());
        let mut found = socket.get_all(&gets)?.into_iter();
        let generation = found.next().flatten().as_ref().and_then(nft::generation_of);
        let there = found.map(|object| object.is_some()).collect();
        let [v4, v6] = [false, true].map(|v6| {
            let set = sets.set(v6);
            Ok::<_, Error>(Interval::listed(&set, &socket.dump(&set.all())?))
        });
        Ok(Self { generation, there, held: [v4?, v6?] })
    }

    /// What has to be sent. With `anew` the sets are emptied first, whatever they hold.
    fn difference(&self, sets: &Sets, wanted: &[Vec<Interval>; 2], anew: bool) -> Vec<Request> {
        let mut batch = Vec::new();
        if self.there.contains(&false) {
            batch.extend(layout::masquerade(MASQUERADE));
            batch.extend(sets.create());
        }
        for (v6, held, wanted) in self.families(wanted) {
            let set = sets.set(v6);
            match held {
                Some(held) if !anew => {
                    let (lacking, surplus) = compare(held, wanted);
                    batch.extend(set.delete_intervals(&surplus));
                    batch.extend(set.insert_intervals(&lacking));
                }
                _ => {
                    batch.push(set.flush());
                    batch.extend(set.insert_intervals(wanted));
                }
            }
        }
        batch
    }

    fn words(&self, network: &NetworkName, sets: &Sets, wanted: &[IpNetwork]) -> Vec<String> {
        let of = |name| {
            format!(
                "{name} of nft table inet podwire, of what network {network} exempts from masquerade,"
            )
        };
        let mut differences = Vec::new();
        let missing = sets.parts().into_iter().zip(&self.there).filter(|(_, there)| !**there);
        differences.extend(missing.map(|(part, _)| format!("the {} is missing", of(part))));
        let (mut told, mut untold) = (TOLD, 0);
        let wanted = [false, true].map(|v6| Interval::disjoint(wanted, v6));
        for (v6, held, wanted) in self.families(&wanted) {
            let what = of(format!("set {}", sets.set(v6).name));
            let Some(held) = held else {
                differences
                    .push(format!("the {what} holds ends of intervals without their other end"));
                continue;
            };
            if !self.there.get(usize::from(v6)).is_some_and(|there| *there) {
                continue;
            }
            let (lacking, surplus) = compare(held, wanted);
            let words = [("lacks", lacking), ("holds, beyond what is wanted,", surplus)];
            for (word, intervals) in words {
                for interval in intervals {
                    if told > 0 {
                        told -= 1;
                        differences.push(format!("the {what} {word} {}", interval.of_family(v6)));
                    } else {
                        untold += 1;
                    }
                }
            }
        }
        if untold > 0 {
            differences.push(format!(
                "{untold} further elements differ of what network {network} exempts from masquerade"
            ));
        }
        differences
    }

    fn families<'a>(
        &'a self,
        wanted: &'a [Vec<Interval>; 2],
    ) -> impl Iterator<Item = (bool, &'a Option<Vec<Interval>>, &'a [Interval])> {
        let both = self.held.iter().zip(wanted);
        both.zip([false, true]).map(|((held, wanted), v6)| (v6, held, wanted.as_slice()))
    }
}

/// What of `wanted` is not held, and what is held beyond it.
fn compare(held: &[Interval], wanted: &[Interval]) -> (Vec<Interval>, Vec<Interval>) {
    let (held, wanted): (BTreeSet<_>, BTreeSet<_>) =
        (held.iter().collect(), wanted.iter().collect());
    let without =
        |these: &BTreeSet<&Interval>, those| these.difference(those).map(|i| **i).collect();
    (without(&wanted, &held), without(&held, &wanted))
}
