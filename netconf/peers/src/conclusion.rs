//! What a comparison concluded, recorded for the next ADD, and whether it still holds.

use std::fmt::Write as _;
use std::sync::Arc;

use cni::Error;
use kernel::{Look, Netns, Socket, glance};
use sha2::{Digest as _, Sha256};

use crate::Source;
use crate::fleet::{Fault, Fleet};
use crate::record::{self, Record, Settled, Sight};
use crate::settle::{Ground, Network};
use crate::sight::describe;
use crate::source::{Identity, Known};

/// How many faults the record keeps for the next ADD to tell.
const REMEMBERED: usize = 20;

/// A conclusion that cannot be recorded yet, because the fleet's file was written a moment ago.
#[derive(Clone, Debug)]
pub struct Pending {
    pub(crate) fleet: Arc<Fleet>,
    /// The record that stands meanwhile.
    pub(crate) record: Record,
    /// What is to come into it; the key is missing.
    pub(crate) settled: Settled,
}

impl Settled {
    /// Whether all that was looked at is as it was.
    fn is_seen_again(&self, socket: &Socket) -> bool {
        let looks: Vec<Look> = self.sights.iter().filter_map(Sight::look).collect();
        looks.len() == self.sights.len()
            && std::iter::zip(glance(socket, &looks), &self.sights)
                .all(|(seen, sight)| seen.is_ok_and(|seen| describe(&seen) == sight.seen))
    }
}

impl Network<'_> {
    /// What a record that still holds tells.
    pub(crate) fn as_recorded(&self, socket: &Socket) -> Result<Option<Ground>, Error> {
        let record = Record::read(&self.config.state);
        let Some(settled) = record.settled else { return Ok(None) };
        if self.key(self.config.source.identity().as_ref())?.as_ref() != Some(&settled.key) {
            return Ok(None);
        }
        Ok(settled.is_seen_again(socket).then_some(Ground {
            mtu: settled.mtu,
            pod_cidrs: settled.pod_cidrs,
            faults: settled.faults,
        }))
    }

    /// What a record's conclusion depends on besides the kernel. `None` when the description of
    /// the fleet cannot be told from another one.
    pub(crate) fn key(&self, identity: Option<&Identity>) -> Result<Option<String>, Error> {
        let source = match (&self.config.source, identity) {
            (Source::Inline(tree), _) => tree.to_string(),
            (Source::File(path) | Source::Known(Known { path, .. }), Some(identity)) => {
                format!("{} {identity:?}", path.display())
            }
            (Source::File(_) | Source::Known(_), None) => return Ok(None),
        };
        let (options, beside) = (&self.config.options, &self.beside);
        let version = env!("CARGO_PKG_VERSION");
        let netns = Netns::own_number()?;
        let all = format!("{version}\n{netns}\n{options:?}\n{beside}\n{source}");
        let digest = Sha256::digest(all.as_bytes());
        Ok(Some(digest.iter().take(16).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })))
    }

    /// Records what was pending, by a look at what it was drawn from. False where the fleet's file has not
    /// rested yet or says something else, and where anything has changed: then all is to be compared.
    pub fn confirm(&self, pending: &Pending) -> Result<bool, Error> {
        let state = &self.config.state;
        let _lock = record::lock(state)?;
        let Pending { fleet, record, settled } = pending;
        let (described, identity) = self.config.source.read()?;
        if described != *fleet {
            return Ok(false);
        }
        let Some(key) = self.key(identity.as_ref())? else { return Ok(false) };
        if Record::read(state) != *record || !settled.is_seen_again(&Socket::open()?) {
            return Ok(false);
        }
        let settled = Some(Settled { key, ..settled.clone() });
        Record { settled, ..record.clone() }.write(state)?;
        Ok(true)
    }
}

/// As many faults as anybody reads.
pub fn some(faults: &[Fault]) -> Vec<Fault> {
    let mut some: Vec<Fault> = faults.iter().take(REMEMBERED).cloned().collect();
    let more = faults.len().saturating_sub(REMEMBERED);
    if more > 0 {
        some.push(Fault { peer: format!("and {more} more"), reason: "see CHECK".to_owned() });
    }
    some
}
