//! The client's side of both protocols as pure machines: time and answers go in, what is to be sent
//! and done comes out.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use kernel::MacAddr;

use super::message;
use super::record::{Client, Granted};
use crate::lease::Lease;

mod pace;
mod v4;
mod v6;

pub use pace::{Moment, Patience};

/// What a machine wants done. It sends to a `T`, and loses an `L`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<T = Destination, L = Lease> {
    /// A packet is to be sent.
    Send { to: T, packet: Vec<u8> },
    /// There is a lease, new or renewed.
    Bound,
    /// This one must not be used any more, for this reason.
    Lost(L, &'static str),
}

/// Whom a packet goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A whole IPv4 packet, to a neighbour.
    Neighbour(MacAddr),
    /// What a UDP datagram holds, to the servers of a group.
    Servers(Ipv6Addr),
}

/// One client.
#[derive(Clone, Debug)]
pub enum Machine {
    /// Of DHCP.
    V4(v4::Machine),
    /// Of DHCPv6.
    V6(v6::Machine),
}

impl Machine {
    /// A client without a lease, for which somebody waits. What it does begins with
    /// [`on_time`](Self::on_time).
    pub fn new(client: Client, patience: Patience, seed: u64, now: Moment) -> Self {
        match client {
            Client::V4(client) => Self::V4(v4::Machine::new(client, patience, seed, now)),
            Client::V6(client) => Self::V6(v6::Machine::new(client, patience, seed, now)),
        }
    }

    /// A client that has had a lease since before, or has lost one and would like to have its address
    /// again. What does not fit the client's protocol is passed over.
    pub fn resume(
        client: Client,
        patience: Patience,
        seed: u64,
        now: Moment,
        granted: Option<&Granted>,
        wish: Option<IpAddr>,
    ) -> Self {
        let held = granted.map(|granted| (&granted.lease, Duration::from_millis(granted.since)));
        match (client, held, wish) {
            (Client::V4(client), Some((Lease::V4(lease), since)), _) => {
                let neighbour = granted.and_then(|granted| granted.neighbour);
                let neighbour = neighbour.unwrap_or(MacAddr([0xff; 6]));
                let held = v4::Held { lease: lease.clone(), since, neighbour };
                Self::V4(v4::Machine::resume(client, patience, seed, now, held))
            }
            (Client::V4(client), _, Some(IpAddr::V4(wish))) => {
                Self::V4(v4::Machine::seek(client, patience, seed, now, Some(wish)))
            }
            (Client::V4(client), ..) => {
                Self::V4(v4::Machine::seek(client, patience, seed, now, None))
            }
            (Client::V6(client), Some((Lease::V6(lease), since)), _) => {
                let held = v6::Held { lease: lease.clone(), since };
                Self::V6(v6::Machine::resume(client, patience, seed, now, held))
            }
            (Client::V6(client), _, Some(IpAddr::V6(wish))) => {
                Self::V6(v6::Machine::seek(client, patience, seed, now, Some(wish)))
            }
            (Client::V6(client), ..) => {
                Self::V6(v6::Machine::seek(client, patience, seed, now, None))
            }
        }
    }

    /// The lease, as it is to be written down.
    pub fn granted(&self) -> Option<Granted> {
        let millis = |since: Moment| u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::V4(machine) => machine.held().map(|held| Granted {
                lease: Lease::V4(held.lease.clone()),
                since: millis(held.since),
                neighbour: Some(held.neighbour),
            }),
            Self::V6(machine) => machine.held().map(|held| Granted {
                lease: Lease::V6(held.lease.clone()),
                since: millis(held.since),
                neighbour: None,
            }),
        }
    }

    /// True when there is a lease.
    pub fn is_bound(&self) -> bool {
        match self {
            Self::V4(machine) => machine.held().is_some(),
            Self::V6(machine) => machine.held().is_some(),
        }
    }

    /// The address that it would like to have again.
    pub fn wish(&self) -> Option<IpAddr> {
        match self {
            Self::V4(machine) => machine.wish().map(Into::into),
            Self::V6(machine) => machine.wish().map(Into::into),
        }
    }

    /// Why there is no lease yet.
    pub fn trouble(&self) -> &str {
        match self {
            Self::V4(machine) => &machine.trouble,
            Self::V6(machine) => &machine.trouble,
        }
    }

    /// See [`trouble`](Self::trouble).
    pub fn set_trouble(&mut self, why: String) {
        match self {
            Self::V4(machine) => machine.trouble = why,
            Self::V6(machine) => machine.trouble = why,
        }
    }

    /// The interface's hardware address, which may change. It is nothing to DHCPv6.
    pub fn set_mac(&mut self, mac: MacAddr) {
        if let Self::V4(machine) = self {
            machine.set_mac(mac);
        }
    }

    /// Somebody waits for a lease.
    pub fn hurry(&mut self, now: Moment) {
        match self {
            Self::V4(machine) => machine.hurry(now),
            Self::V6(machine) => machine.hurry(now),
        }
    }

    /// When [`on_time`](Self::on_time) is to be called next.
    pub fn due(&self) -> Moment {
        match self {
            Self::V4(machine) => machine.due(),
            Self::V6(machine) => machine.due(),
        }
    }

    /// What is due is left until this moment, or done at this one already. Nothing can be said through
    /// an interface without a link-local address.
    pub fn set_due(&mut self, due: Moment) {
        if let Self::V6(machine) = self {
            machine.set_due(due);
        }
    }

    /// True while an answer is awaited: packets are received only then.
    pub fn listens(&self) -> bool {
        match self {
            Self::V4(machine) => machine.listens(),
            Self::V6(machine) => machine.listens(),
        }
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Moment) -> Vec<Effect> {
        match self {
            Self::V4(machine) => widened(machine.on_time(now)),
            Self::V6(machine) => widened(machine.on_time(now)),
        }
    }

    /// Takes a packet that arrived, from this neighbour where that is known.
    pub fn on_packet(&mut self, packet: &[u8], from: MacAddr, now: Moment) -> Vec<Effect> {
        match self {
            Self::V4(machine) => {
                let reply = message::v4::Reply::read(packet, machine.mac(), from);
                reply.map(|reply| widened(machine.on_reply(&reply, now))).unwrap_or_default()
            }
            Self::V6(machine) => {
                let reply = message::v6::Reply::read(packet, machine.duid());
                reply.map(|reply| widened(machine.on_reply(&reply, now))).unwrap_or_default()
            }
        }
    }

    /// The message that gives the lease back.
    pub fn release(&mut self, now: Moment) -> Option<Effect> {
        match self {
            Self::V4(machine) => machine.release(now).map(Effect::from),
            Self::V6(machine) => machine.release(now).map(Effect::from),
        }
    }
}

fn widened<E: Into<Effect>>(effects: Vec<E>) -> Vec<Effect> {
    effects.into_iter().map(Into::into).collect()
}

impl From<v4::Effect> for Effect {
    fn from(effect: v4::Effect) -> Self {
        match effect {
            Effect::Send { to, packet } => Self::Send { to: Destination::Neighbour(to), packet },
            Effect::Bound => Self::Bound,
            Effect::Lost(held, why) => Self::Lost(Lease::V4(held.lease), why),
        }
    }
}

impl From<v6::Effect> for Effect {
    fn from(effect: v6::Effect) -> Self {
        match effect {
            Effect::Send { to, packet } => Self::Send { to: Destination::Servers(to), packet },
            Effect::Bound => Self::Bound,
            Effect::Lost(held, why) => Self::Lost(Lease::V6(held.lease), why),
        }
    }
}
