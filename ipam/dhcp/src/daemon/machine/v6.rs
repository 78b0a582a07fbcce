//! The client's side of DHCPv6 (RFC 8415, section 18.2), for one address.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::pace::{FIRST_PAUSE, Moment, Patience, Random};
use crate::daemon::message::v6::{ALL_SERVERS, Asked, Client, Reply, Said, status};
use crate::lease::v6::{Lease, NEVER};

/// What the machine wants done.
pub type Effect = super::Effect<Ipv6Addr, Held>;

/// The first pause between two attempts to renew or rebind, and the longest (`REN_TIMEOUT`,
/// `REN_MAX_RT` and the same of REB: section 7.6).
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_RENEWAL_PAUSE: Duration = Duration::from_mins(10);

/// A lease and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What was granted.
    pub lease: Lease,
    /// When it was asked for: the lease's times count from then on.
    pub since: Moment,
}

/// Where the machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Has asked who has an address.
    Soliciting,
    /// Has chosen what a server advertised, or asks once more for what the server has forgotten.
    Requesting { address: Ipv6Addr, server: Vec<u8> },
    /// Has a lease, and nothing is to be done until it is to be renewed.
    Bound,
    /// Has asked to keep the lease, and asks again at `next`: any server, where it is `rebinding`.
    Keeping { rebinding: bool, next: Moment, listens: bool },
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
    /// When the transaction began, when it was last asked, and how often.
    begun: Moment,
    asked: Moment,
    tries: u32,
    random: Random,
    held: Option<Held>,
    wish: Option<Ipv6Addr>,
    failures: u32,
    /// There is somebody who waits for a first lease.
    awaited: bool,
    /// What a server has said of the longest pause (`SOL_MAX_RT`).
    longest_pause: Option<Duration>,
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
            begun: now,
            asked: now,
            tries: 0,
            random: Random::new(seed),
            held: None,
            wish: None,
            failures: 0,
            awaited: true,
            longest_pause: None,
            trouble: "no server has answered".to_owned(),
        }
    }

    /// A client that has lost its lease, and would like to have its address again.
    pub fn seek(
        client: Client,
        patience: Patience,
        seed: u64,
        now: Moment,
        wish: Option<Ipv6Addr>,
    ) -> Self {
        Self { wish, awaited: false, ..Self::new(client, patience, seed, now) }
    }

    /// A client that has had a lease since before.
    pub fn resume(client: Client, patience: Patience, seed: u64, now: Moment, held: Held) -> Self {
        let mut machine = Self::seek(client, patience, seed, now, None);
        machine.phase = Phase::Bound;
        machine.due = after(&held, held.lease.times.renewal);
        machine.held = Some(held);
        machine
    }

    /// The lease.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// The address that it would like to have again.
    pub fn wish(&self) -> Option<Ipv6Addr> {
        self.held.as_ref().map(|held| held.lease.address).or(self.wish)
    }

    /// Who the client is.
    pub fn duid(&self) -> &[u8] {
        &self.client.duid
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

    /// Puts that off, or forward.
    pub fn set_due(&mut self, due: Moment) {
        self.due = due;
    }

    /// True while an answer is awaited: datagrams are received only then.
    pub fn listens(&self) -> bool {
        match self.phase {
            Phase::Soliciting | Phase::Requesting { .. } => true,
            Phase::Keeping { listens, .. } => listens,
            Phase::Bound | Phase::Pausing => false,
        }
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Moment) -> Vec<Effect> {
        if now < self.due {
            return Vec::new();
        }
        if let Some(held) = self.held.clone() {
            return self.keep_on(now, &held);
        }
        match self.phase {
            Phase::Soliciting if self.awaited || self.has_time(now) => self.ask(now),
            Phase::Requesting { .. } if self.has_time(now) => self.ask(now),
            // Whoever waits for a first lease waits for the next server, too.
            Phase::Soliciting => self.pause(now),
            _ => self.solicit(now),
        }
    }

    /// Takes a server's answer.
    pub fn on_reply(&mut self, reply: &Reply, now: Moment) -> Vec<Effect> {
        if reply.xid != self.xid || !self.listens() {
            return Vec::new();
        }
        // Also one that has nothing for us may say so (section 18.2.9).
        self.longest_pause = reply.longest_pause.or(self.longest_pause);
        match (self.phase.clone(), reply.said) {
            (Phase::Soliciting, Said::Advertise) => match reply.lease(self.wish) {
                Ok(Lease { address, server, .. }) => self.request(now, address, server),
                Err(refused) => self.refuse("an advertisement", reply, &refused.why),
            },
            // Without that option it answers something else (section 18.2.1).
            (Phase::Soliciting, Said::Reply) if reply.is_rapid => match reply.lease(self.wish) {
                Ok(lease) => self.grant(lease),
                Err(refused) => self.refuse("a reply", reply, &refused.why),
            },
            (Phase::Requesting { address, server }, Said::Reply) if reply.server == server => {
                match reply.lease(Some(address)) {
                    Ok(lease) => self.grant(lease),
                    Err(refused) => {
                        self.refuse("a reply", reply, &refused.why);
                        if refused.code == Some(status::NOT_ON_LINK) {
                            self.wish = None;
                        }
                        match &self.held {
                            Some(held) => self.pause_keeping(now, &held.clone()),
                            None => self.pause(now),
                        }
                    }
                }
            }
            (Phase::Keeping { rebinding, .. }, Said::Reply) => self.kept(reply, rebinding, now),
            _ => Vec::new(),
        }
    }

    /// The message that gives the lease back.
    pub fn release(&mut self, now: Moment) -> Option<Effect> {
        let Held { lease: Lease { address, server, .. }, .. } = self.held.take()?;
        self.phase = Phase::Pausing;
        self.begin(now);
        self.due = now;
        let asked = Asked::Release { address, server };
        let packet = self.client.message(&asked, self.xid, Duration::ZERO)?;
        Some(Effect::Send { to: ALL_SERVERS, packet })
    }

    /// An answer to the attempt to keep the lease (section 18.2.10.1).
    fn kept(&mut self, reply: &Reply, rebinding: bool, now: Moment) -> Vec<Effect> {
        let Some(held) = self.held.clone() else { return Vec::new() };
        let Held { lease: Lease { address, ref server, .. }, .. } = held;
        if !rebinding && reply.server != *server {
            return Vec::new();
        }
        match reply.lease(Some(address)) {
            // The server may grant another one; that it takes ours away, it has to say.
            Ok(lease) if lease.address == address || reply.withdraws(address) => self.grant(lease),
            Ok(lease) => self.refuse("a reply", reply, &format!("it is about {}", lease.address)),
            Err(refused) if refused.code == Some(status::NO_BINDING) => {
                self.request(now, address, reply.server.clone())
            }
            Err(refused) if refused.code == Some(status::NOT_ON_LINK) => {
                self.wish = None;
                self.lose(now, "the server says that it is not of this link")
            }
            Err(_) if reply.withdraws(address) => {
                self.wish = None;
                self.lose(now, "the server has taken it back")
            }
            // It may think better of it until the lease ends, as may others.
            Err(refused) => self.refuse("a reply", reply, &refused.why),
        }
    }

    /// Has a lease, and is to renew it, to rebind it or to lose it.
    fn keep_on(&mut self, now: Moment, held: &Held) -> Vec<Effect> {
        let times = held.lease.times;
        let (rebinding, end) = (after(held, times.rebinding), after(held, times.end));
        if now >= end {
            self.wish = Some(held.lease.address);
            return self.lose(now, "it has expired");
        }
        if now < after(held, times.renewal) {
            self.due = after(held, times.renewal);
            return Vec::new();
        }
        let rebinds = now >= rebinding;
        let deadline = if rebinds { end } else { rebinding };
        match self.phase {
            Phase::Requesting { .. } if self.has_time(now) => return self.ask(now),
            Phase::Requesting { .. } => return self.pause_keeping(now, held),
            Phase::Keeping { rebinding, next, .. } if rebinding == rebinds && now < next => {
                // Nobody has answered, and nobody is listened to until the next attempt.
                self.phase = Phase::Keeping { rebinding, next, listens: false };
                self.due = next.min(deadline);
                return Vec::new();
            }
            Phase::Keeping { rebinding, .. } if rebinding == rebinds => {}
            _ => self.begin(now),
        }
        let next = now + self.renewal_pause();
        self.phase = Phase::Keeping { rebinding: rebinds, next, listens: true };
        let Lease { address, server, .. } = held.lease.clone();
        let asked = if rebinds { Asked::Rebind(address) } else { Asked::Renew { address, server } };
        self.due = next.min(now + self.patience.answer).min(deadline);
        self.send(now, &asked)
    }

    /// Asks on after a while to keep a lease of which the server knows nothing.
    fn pause_keeping(&mut self, now: Moment, held: &Held) -> Vec<Effect> {
        let times = held.lease.times;
        let rebinding = now >= after(held, times.rebinding);
        let deadline = after(held, if rebinding { times.end } else { times.rebinding });
        self.tries = self.failures;
        self.failures = self.failures.saturating_add(1);
        let next = now + self.renewal_pause();
        self.begin(now);
        self.phase = Phase::Keeping { rebinding, next, listens: false };
        self.due = next.min(deadline);
        Vec::new()
    }

    fn renewal_pause(&mut self) -> Duration {
        self.random.pause(RENEWAL_PAUSE, self.tries, LONGEST_RENEWAL_PAUSE)
    }

    fn solicit(&mut self, now: Moment) -> Vec<Effect> {
        self.begin(now);
        self.phase = Phase::Soliciting;
        self.ask(now)
    }

    fn request(&mut self, now: Moment, address: Ipv6Addr, server: Vec<u8>) -> Vec<Effect> {
        self.begin(now);
        self.phase = Phase::Requesting { address, server };
        self.ask(now)
    }

    /// A transaction of its own.
    fn begin(&mut self, now: Moment) {
        self.xid = self.random.next() >> 8;
        self.begun = now;
        self.tries = 0;
    }

    /// Asks what the phase asks, and waits longer each time.
    fn ask(&mut self, now: Moment) -> Vec<Effect> {
        let asked = match self.phase.clone() {
            Phase::Soliciting => Asked::Solicit(self.wish),
            Phase::Requesting { address, server } => Asked::Request { address, server },
            _ => return Vec::new(),
        };
        self.due = now + self.random.pause(FIRST_PAUSE, self.tries, self.patience.repeat);
        if !self.awaited || matches!(self.phase, Phase::Requesting { .. }) {
            self.due = self.due.min((self.begun + self.patience.answer).max(now + FIRST_PAUSE));
        }
        if let Some(held) = &self.held {
            self.due = self.due.min(after(held, held.lease.times.end));
        }
        self.send(now, &asked)
    }

    fn send(&mut self, now: Moment, asked: &Asked) -> Vec<Effect> {
        self.asked = now;
        self.tries = self.tries.saturating_add(1);
        let packet = self.client.message(asked, self.xid, now.saturating_sub(self.begun));
        packet.into_iter().map(|packet| Effect::Send { to: ALL_SERVERS, packet }).collect()
    }

    fn grant(&mut self, lease: Lease) -> Vec<Effect> {
        let held = Held { lease, since: self.asked };
        self.due = after(&held, held.lease.times.renewal);
        self.held = Some(held);
        self.phase = Phase::Bound;
        self.awaited = false;
        self.failures = 0;
        vec![Effect::Bound]
    }

    fn refuse(&mut self, what: &str, reply: &Reply, why: &str) -> Vec<Effect> {
        self.trouble = format!("{what} of {} was not taken: {why}", reply.from());
        Vec::new()
    }

    fn lose(&mut self, now: Moment, why: &'static str) -> Vec<Effect> {
        let Some(held) = self.held.take() else { return Vec::new() };
        self.failures = 0;
        let mut effects = vec![Effect::Lost(held, why)];
        effects.extend(self.solicit(now));
        effects
    }

    fn pause(&mut self, now: Moment) -> Vec<Effect> {
        self.phase = Phase::Pausing;
        let told = self.longest_pause.filter(|_| !self.awaited);
        let longest = told.unwrap_or(self.patience.repeat);
        self.due = now + self.random.pause(FIRST_PAUSE, self.failures, longest);
        self.failures = self.failures.saturating_add(1);
        Vec::new()
    }

    fn has_time(&self, now: Moment) -> bool {
        now < self.begun + self.patience.answer
    }
}

fn after(held: &Held, seconds: u32) -> Moment {
    match seconds {
        NEVER => Moment::MAX,
        seconds => held.since + Duration::from_secs(seconds.into()),
    }
}

#[cfg(test)]
mod tests;
