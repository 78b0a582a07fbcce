//! The client's side of DHCP (RFC 2131, section 4.4).

use std::net::Ipv4Addr;
use std::time::Duration;

use kernel::MacAddr;

use super::pace::{FIRST_PAUSE, Moment, Patience, Random};
use crate::daemon::message::v4::{Ask, Asked, Client, Reply, Said};
use crate::lease::v4::Lease;

/// What the machine wants done.
pub type Effect = super::Effect<MacAddr, Held>;

/// The shortest pause between two attempts to renew or rebind (RFC 2131, section 4.4.5), unless the
/// lease is too short for it.
const RENEWAL_PAUSE: Duration = Duration::from_mins(1);

/// A lease and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What was granted.
    pub lease: Lease,
    /// When it was asked for: the lease's times count from then on.
    pub since: Moment,
    /// The neighbour that leads to the server.
    pub neighbour: MacAddr,
}

/// Where the machine is. Between the attempts to keep or get a lease it does not listen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Has asked who offers an address.
    Selecting { begun: Moment, tries: u32 },
    /// Has chosen an offer.
    Requesting { begun: Moment, tries: u32, address: Ipv4Addr, server: Ipv4Addr },
    /// Has a lease, and nothing is to be done until it is to be renewed.
    Bound,
    /// Has asked to keep the lease: any server, where it is `rebinding`.
    Keeping { asked: Moment, rebinding: bool },
    /// Waits before it asks again.
    Pausing,
}

/// One client.
#[derive(Clone, Debug)]
pub struct Machine {
    client: Client,
    patience: Patience,
    phase: Phase,
    due: Moment,
    xid: u32,
    random: Random,
    held: Option<Held>,
    wish: Option<Ipv4Addr>,
    failures: u32,
    /// There is somebody who waits for a first lease.
    awaited: bool,
    /// Why there is no lease yet.
    pub trouble: String,
}

impl Machine {
    /// A client without a lease, for which somebody waits. What it does begins with
    /// [`on_time`](Self::on_time).
    pub fn new(client: Client, patience: Patience, seed: u64, now: Moment) -> Self {
        Self {
            client,
            patience,
            phase: Phase::Pausing,
            due: now,
            xid: 0,
            random: Random::new(seed),
            held: None,
            wish: None,
            failures: 0,
            awaited: true,
            trouble: "no server has answered".to_owned(),
        }
    }

    /// A client that has lost its lease, and would like to have its address again.
    pub fn seek(
        client: Client,
        patience: Patience,
        seed: u64,
        now: Moment,
        wish: Option<Ipv4Addr>,
    ) -> Self {
        Self { wish, awaited: false, ..Self::new(client, patience, seed, now) }
    }

    /// A client that has had a lease since before.
    pub fn resume(client: Client, patience: Patience, seed: u64, now: Moment, held: Held) -> Self {
        let mut machine = Self::seek(client, patience, seed, now, None);
        machine.phase = Phase::Bound;
        machine.due = Self::renewal(&held);
        machine.held = Some(held);
        machine
    }

    /// The lease.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// The address that it would like to have again.
    pub fn wish(&self) -> Option<Ipv4Addr> {
        self.held.as_ref().map(|held| held.lease.address).or(self.wish)
    }

    /// The interface's hardware address, which may change.
    pub fn set_mac(&mut self, mac: MacAddr) {
        self.client.mac = mac;
    }

    /// See [`set_mac`](Self::set_mac).
    pub fn mac(&self) -> MacAddr {
        self.client.mac
    }

    /// Somebody waits for a lease, so a pause that has grown is not.
    pub fn hurry(&mut self, now: Moment) {
        self.awaited = true;
        if self.phase == Phase::Pausing && self.held.is_none() {
            self.failures = 0;
            self.due = now;
        }
    }

    /// When [`on_time`](Self::on_time) is to be called next.
    pub fn due(&self) -> Moment {
        self.due
    }

    /// True while an answer is awaited: packets are received only then.
    pub fn listens(&self) -> bool {
        !matches!(self.phase, Phase::Bound | Phase::Pausing)
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Moment) -> Vec<Effect> {
        if now < self.due {
            return Vec::new();
        }
        if let Some(held) = &self.held {
            return self.keep_on(now, &held.clone());
        }
        match self.phase.clone() {
            Phase::Selecting { begun, tries } if self.has_time(begun, now) => {
                self.repeat(now, Phase::Selecting { begun, tries: tries + 1 }, tries)
            }
            Phase::Requesting { begun, tries, address, server } if self.has_time(begun, now) => {
                self.repeat(
                    now,
                    Phase::Requesting { begun, tries: tries + 1, address, server },
                    tries,
                )
            }
            // Whoever waits for a first lease waits for the next server, too.
            Phase::Selecting { .. } if !self.awaited => self.pause(now),
            _ => self.discover(now),
        }
    }

    /// Takes a server's answer.
    pub fn on_reply(&mut self, reply: &Reply, now: Moment) -> Vec<Effect> {
        if reply.xid != self.xid || !self.listens() {
            return Vec::new();
        }
        match (&self.phase, &reply.said) {
            (Phase::Selecting { .. }, Said::Offer(address)) => {
                match Lease::of(*address, &reply.options, reply.search.clone()) {
                    Ok(lease) => self.select(now, &lease),
                    Err(why) => self.refuse("an offer", reply, &why),
                }
            }
            (Phase::Requesting { begun, server, .. }, Said::Ack(address))
                if reply.server().is_none_or(|from| from == *server) =>
            {
                self.grant(*address, reply, *begun)
            }
            (Phase::Requesting { server, .. }, Said::Nak)
                if reply.server().is_none_or(|from| from == *server) =>
            {
                self.trouble = format!("{server} refused the address that it had offered");
                self.wish = None;
                self.pause(now)
            }
            (Phase::Keeping { asked, .. }, Said::Ack(address)) => {
                self.grant(*address, reply, *asked)
            }
            (Phase::Keeping { .. }, Said::Nak) => {
                self.wish = None;
                self.lose(now, "the server refuses to renew it")
            }
            _ => Vec::new(),
        }
    }

    /// The message that gives the lease back.
    pub fn release(&mut self, now: Moment) -> Option<Effect> {
        let held = self.held.take()?;
        self.phase = Phase::Pausing;
        self.xid = self.random.next();
        let Lease { address, server, .. } = held.lease;
        let ask = Ask { kind: Asked::Release { address, server }, xid: self.xid, seconds: 0 };
        self.due = now;
        let packet = self.client.packet(&ask, address, server)?;
        Some(Effect::Send { to: held.neighbour, packet })
    }

    /// Has a lease, and is to renew it, to rebind it or to lose it.
    fn keep_on(&mut self, now: Moment, held: &Held) -> Vec<Effect> {
        let Some(times) = held.lease.times else {
            self.due = Moment::MAX;
            return Vec::new();
        };
        let at = |seconds: u32| held.since + Duration::from_secs(seconds.into());
        let (rebinding, end) = (at(times.rebinding), at(times.end));
        if now >= end {
            return self.lose(now, "it has expired");
        }
        let rebinds = now >= rebinding;
        let deadline = if rebinds { end } else { rebinding };
        if matches!(self.phase, Phase::Keeping { rebinding, .. } if rebinding == rebinds) {
            // No answer: again after half of what is left (RFC 2131, section 4.4.5).
            let left = deadline.saturating_sub(now);
            self.phase = Phase::Pausing;
            self.due = (now + (left / 2).max(RENEWAL_PAUSE)).min(deadline);
            if self.due > now {
                return Vec::new();
            }
        }
        let Lease { address, server, .. } = held.lease;
        self.xid = self.random.next();
        self.phase = Phase::Keeping { asked: now, rebinding: rebinds };
        self.due = (now + self.patience.answer).min(deadline);
        let ask = Ask { kind: Asked::Keep(address), xid: self.xid, seconds: 0 };
        let (to, destination) = if rebinds {
            (MacAddr([0xff; 6]), Ipv4Addr::BROADCAST)
        } else {
            (held.neighbour, server)
        };
        let packet = self.client.packet(&ask, address, destination);
        packet.into_iter().map(|packet| Effect::Send { to, packet }).collect()
    }

    fn discover(&mut self, now: Moment) -> Vec<Effect> {
        self.xid = self.random.next();
        self.repeat(now, Phase::Selecting { begun: now, tries: 1 }, 0)
    }

    fn select(&mut self, now: Moment, lease: &Lease) -> Vec<Effect> {
        let Lease { address, server, .. } = *lease;
        self.repeat(now, Phase::Requesting { begun: now, tries: 1, address, server }, 0)
    }

    /// Broadcasts what the phase asks, and waits longer each time.
    fn repeat(&mut self, now: Moment, phase: Phase, tries: u32) -> Vec<Effect> {
        let (kind, begun) = match phase {
            Phase::Requesting { address, server, begun, .. } => {
                (Asked::Select { address, server }, begun)
            }
            Phase::Selecting { begun, .. } => (Asked::Discover(self.wish), begun),
            _ => return Vec::new(),
        };
        self.phase = phase;
        let seconds = u16::try_from(now.saturating_sub(begun).as_secs()).unwrap_or(u16::MAX);
        self.due = now + self.backoff(tries);
        if !self.awaited || matches!(self.phase, Phase::Requesting { .. }) {
            self.due = self.due.min((begun + self.patience.answer).max(now + FIRST_PAUSE));
        }
        let ask = Ask { kind, xid: self.xid, seconds };
        match self.client.packet(&ask, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST) {
            Some(packet) => vec![Effect::Send { to: MacAddr([0xff; 6]), packet }],
            None => Vec::new(),
        }
    }

    fn grant(&mut self, address: Ipv4Addr, reply: &Reply, since: Moment) -> Vec<Effect> {
        match Lease::of(address, &reply.options, reply.search.clone()) {
            Ok(lease) => {
                let held = Held { lease, since, neighbour: reply.neighbour };
                self.due = Self::renewal(&held);
                self.held = Some(held);
                self.phase = Phase::Bound;
                self.awaited = false;
                self.failures = 0;
                vec![Effect::Bound]
            }
            Err(why) => self.refuse("an acknowledgement", reply, &why),
        }
    }

    fn refuse(&mut self, what: &str, reply: &Reply, why: &str) -> Vec<Effect> {
        let from = reply.server().map_or("somebody".to_owned(), |server| server.to_string());
        self.trouble = format!("{what} of {from} was not taken: {why}");
        Vec::new()
    }

    fn lose(&mut self, now: Moment, why: &'static str) -> Vec<Effect> {
        let Some(held) = self.held.take() else { return Vec::new() };
        if why == "it has expired" {
            self.wish = Some(held.lease.address);
        }
        self.failures = 0;
        let mut effects = vec![Effect::Lost(held, why)];
        effects.extend(self.discover(now));
        effects
    }

    fn pause(&mut self, now: Moment) -> Vec<Effect> {
        self.phase = Phase::Pausing;
        self.due = now + self.backoff(self.failures);
        self.failures = self.failures.saturating_add(1);
        Vec::new()
    }

    fn has_time(&self, begun: Moment, now: Moment) -> bool {
        let waits = self.awaited && matches!(self.phase, Phase::Selecting { .. });
        waits || now < begun + self.patience.answer
    }

    fn renewal(held: &Held) -> Moment {
        let after = |seconds: u32| held.since + Duration::from_secs(seconds.into());
        held.lease.times.map_or(Moment::MAX, |times| after(times.renewal))
    }

    fn backoff(&mut self, tries: u32) -> Duration {
        self.random.pause(FIRST_PAUSE, tries, self.patience.repeat)
    }
}

#[cfg(test)]
mod tests;
