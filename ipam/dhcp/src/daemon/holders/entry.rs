//! One who holds a lease or waits for one: what becomes of the interface and of those who wait.

use cni::{Code, Error};
use kernel::packet::Packets;

use super::log;
use crate::daemon::clients::Clients;
use crate::daemon::events::now;
use crate::daemon::flags::Flags;
use crate::daemon::inside::Inside;
use crate::daemon::machine::{Effect, Held, Machine, Moment};
use crate::daemon::record::{Granted, Record};
use crate::talk::Answer;

/// One of them.
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) machine: Machine,
    /// Open while an answer of a server is awaited, and only then: it keeps the namespace alive.
    pub(super) packets: Option<(u64, Packets)>,
    /// Who waits for the lease, and until when.
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
    /// Sends a packet, where a socket is open.
    pub(super) fn send(&self, to: kernel::MacAddr, packet: &[u8]) {
        let Some((_, packets)) = &self.packets else { return };
        if let Err(e) = packets.send(to, packet) {
            log(&self.record.holder, e);
        }
    }

    /// Answers all who wait.
    pub(super) fn answer(&mut self, answer: &Answer, clients: &mut Clients) {
        for client in self.waiting.drain(..) {
            clients.answer(client, answer.clone());
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
        let Some(held) = self.machine.held().cloned() else { return Fate::Stays };
        let holder = self.record.holder.clone();
        let before = self.record.granted.take().map(|granted| granted.lease);
        let since = u64::try_from(held.since.as_millis()).unwrap_or(u64::MAX);
        let neighbour = held.neighbour;
        self.record.granted = Some(Granted { lease: held.lease.clone(), since, neighbour });
        self.record.wish = None;
        let written = self.record.write(&flags.state);
        let mut found = None;
        let inside = inside.or_else(|| look(&self.record, &mut found));
        if !self.waiting.is_empty() {
            let error = match (&written, inside.map(|inside| inside.limit_mtu(&held.lease))) {
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
                log(&holder, described(&held));
                self.answer(&Answer::Lease(held.lease), clients);
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
        if before.as_ref().is_some_and(|before| before.configures_as(&held.lease)) {
            return Fate::Stays;
        }
        let Some(inside) = inside else { return Fate::Stays };
        let moved = before
            .map_or(Ok(self.record.kept.clone()), |before| inside.withdraw(&before))
            .and_then(|kept| inside.install(&held.lease, self.record.priority, &kept));
        self.record.kept.clear();
        match moved {
            Ok(()) => log(
                &holder,
                format_args!("the interface has got another lease: {}", described(&held)),
            ),
            Err(e) => log(&holder, e),
        }
        if let Err(e) = self.record.write(&flags.state) {
            log(&holder, format_args!("writing down its lease: {e}"));
        }
        Fate::Stays
    }

    /// The address must not be used any more. The interface stays up: other addresses are its own,
    /// and the next lease is asked for through it.
    pub(super) fn lost(&mut self, flags: &Flags, held: &Held, why: &str, inside: Option<&Inside>) {
        let holder = &self.record.holder;
        log(holder, format_args!("lost {}: {why}", held.lease.cidr()));
        let mut found = None;
        let inside = inside.or_else(|| look(&self.record, &mut found));
        match inside.map(|inside| inside.withdraw(&held.lease)) {
            Some(Ok(kept)) => self.record.kept = kept,
            Some(Err(e)) => log(holder, e),
            None => {}
        }
        self.machine.trouble = format!("{} was lost: {why}", held.lease.cidr());
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

fn described(held: &Held) -> String {
    let Held { lease, .. } = held;
    let end = lease.times.map_or("for ever".to_owned(), |times| format!("for {} s", times.end));
    format!("{} from {} {end}", lease.cidr(), lease.server)
}
