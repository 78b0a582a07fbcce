//! One who holds a lease or waits for one: what becomes of the interface and of those who wait.

use std::collections::BTreeMap;

use cni::{Code, Error};

use super::log;
use crate::daemon::clients::Clients;
use crate::daemon::events::now;
use crate::daemon::flags::Flags;
use crate::daemon::inside::{Ear, Inside};
use crate::daemon::machine::{Destination, Effect, Machine, Moment};
use crate::daemon::record::Record;
use crate::lease::Lease;
use crate::talk::{Answer, Holder};

/// One of them.
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) machine: Machine,
    /// Open while an answer of a server is awaited, and only then: it keeps the namespace alive.
    pub(super) ear: Option<(u64, Ear)>,
    /// Why nothing can be asked, while that is so.
    pub(super) mute: Option<String>,
    /// The client whose ADD began this, and who waits for the lease, and until when.
    pub(super) by: u64,
    pub(super) waiting: Vec<u64>,
    pub(super) patience_ends: Option<Moment>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Ends,
}

impl Entry {
    /// One that has been there since before the daemon.
    pub(super) fn resumed(record: Record, machine: Machine) -> Self {
        // Clients are counted from 1 on.
        let (by, waiting, patience_ends) = (0, Vec::new(), None);
        Self { record, machine, ear: None, mute: None, by, waiting, patience_ends }
    }

    /// Sends a packet, where a socket is open. False when that socket is of no use any more: the
    /// address that it has is gone.
    pub(super) fn send(&self, to: Destination, packet: &[u8]) -> bool {
        let Some((_, ear)) = &self.ear else { return true };
        if let Err(e) = ear.send(to, packet) {
            log(&self.record.holder, e);
            return matches!(to, Destination::Neighbour(_));
        }
        true
    }

    /// Closes the socket, of which `sockets` tells whose it is.
    pub(super) fn close_ear(&mut self, sockets: &mut BTreeMap<u64, Holder>) {
        if let Some((number, _)) = self.ear.take() {
            sockets.remove(&number);
        }
    }

    /// Why there is no lease.
    pub(super) fn trouble(&self) -> &str {
        self.mute.as_deref().unwrap_or_else(|| self.machine.trouble())
    }

    /// True while the interface has no address to ask from.
    pub(super) fn waits_for_address(&self) -> bool {
        matches!(self.ear, Some((_, Ear::Addresses(..))))
    }

    /// Answers all who wait.
    pub(super) fn answer(&mut self, answer: &Answer, clients: &mut Clients) {
        for client in self.waiting.drain(..) {
            match answer {
                Answer::Lease(lease) if client == self.by => {
                    let born = self.record.born;
                    clients.answer(client, Answer::Granted { lease: lease.clone(), born });
                }
                _ => clients.answer(client, answer.clone()),
            }
        }
        self.patience_ends = None;
    }

    /// There is a lease, new or renewed: it is written down before anybody is told.
    pub(super) fn bound(
        &mut self,
        flags: &Flags,
        inside: Option<&Inside>,
        clients: &mut Clients,
    ) -> Fate {
        let Some(granted) = self.machine.granted() else { return Fate::Stays };
        let lease = granted.lease.clone();
        let holder = self.record.holder.clone();
        let before = self.record.granted.take().map(|granted| granted.lease);
        self.record.granted = Some(granted);
        self.record.wish = None;
        let written = self.record.write(&flags.state);
        let mut found = None;
        let inside = inside.or_else(|| look(&self.record, &mut found));
        if !self.waiting.is_empty() {
            let error = match (&written, inside.map(|inside| inside.limit_mtu(&lease))) {
                (Err(e), _) => Some(Error::new(
                    Code::IO,
                    format!(
                        "-state {}: writing down the lease of {holder}: {e}",
                        flags.state.display()
                    ),
                )),
                (_, Some(Err(e))) => Some(Error::from(e)),
                _ => None,
            };
            let Some(error) = error else {
                log(&holder, &lease);
                self.answer(&Answer::Lease(lease), clients);
                return Fate::Stays;
            };
            if let Some(Effect::Send { to, packet }) = self.machine.release(now()) {
                self.send(to, &packet);
            }
            self.answer(&Answer::from(error), clients);
            return Fate::Ends;
        }
        if let Err(e) = written {
            log(&holder, format_args!("writing down its lease: {e}"));
        }
        let Some(inside) = inside else { return Fate::Stays };
        if before.as_ref().is_some_and(|before| before.configures_as(&lease)) {
            if let Err(e) = inside.restore(&lease) {
                log(&holder, e);
            }
            return Fate::Stays;
        }
        let moved = before
            .map_or(Ok(self.record.kept.clone()), |before| inside.withdraw(&before))
            .and_then(|kept| inside.install(&lease, self.record.priority, &kept));
        self.record.kept.clear();
        match moved {
            Ok(()) => log(&holder, format_args!("the interface has got another lease: {lease}")),
            Err(e) => log(&holder, e),
        }
        if let Err(e) = self.record.write(&flags.state) {
            log(&holder, format_args!("writing down its lease: {e}"));
        }
        Fate::Stays
    }

    /// The address must not be used any more. The interface stays up: other addresses are its own,
    /// and the next lease is asked for through it.
    pub(super) fn lost(
        &mut self,
        flags: &Flags,
        lease: &Lease,
        why: &str,
        inside: Option<&Inside>,
    ) {
        let holder = &self.record.holder;
        log(holder, format_args!("lost {}: {why}", lease.cidr()));
        let mut found = None;
        let inside = inside.or_else(|| look(&self.record, &mut found));
        match inside.map(|inside| inside.withdraw(lease)) {
            Some(Ok(kept)) => self.record.kept = kept,
            Some(Err(e)) => log(holder, e),
            None => {}
        }
        self.machine.set_trouble(format!("{} was lost: {why}", lease.cidr()));
        self.record.granted = None;
        self.record.wish = self.machine.wish();
        if let Err(e) = self.record.write(&flags.state) {
            log(&self.record.holder, format_args!("writing that down: {e}"));
        }
    }
}

/// The container, looked for now.
fn look<'a>(record: &Record, found: &'a mut Option<Inside>) -> Option<&'a Inside> {
    *found = Inside::find(record).ok().flatten();
    found.as_ref()
}
