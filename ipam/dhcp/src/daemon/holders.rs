//! Everybody who holds a lease or waits for one.

mod entry;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use cni::{Code, Error};

use self::entry::{Entry, Fate};
use super::clients::Clients;
use super::events::{Events, now};
use super::flags::Flags;
use super::inside::Inside;
use super::machine::{Effect, Machine, Moment, Patience};
use super::message;
use super::record::{self, Client, Record};
use crate::lease::Family;
use crate::talk::{Answer, Holder, Request, Wanted};

/// How often containers are looked for whose lease needs nothing yet.
const ROUND: Duration = Duration::from_mins(5);
/// Packets of one socket that are read before others have their turn.
const MANY: usize = 16;

/// All of them.
pub struct Holders {
    flags: Flags,
    boot: String,
    all: BTreeMap<Holder, Entry>,
    sockets: BTreeMap<u64, Holder>,
    next: u64,
    round: Moment,
}

impl Holders {
    /// Those of whom there are files.
    pub fn load(flags: Flags) -> Result<Self, String> {
        let boot = kernel::boot_id().map_err(|e| e.to_string())?;
        let records = record::read_all(&flags.state, &boot)
            .map_err(|e| format!("-state {}: {e}", flags.state.display()))?;
        let moment = now();
        let mut holders = Self {
            flags,
            boot,
            all: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next: 0,
            // At once: containers may have gone meanwhile.
            round: moment,
        };
        for record in records {
            let machine = holders.machine_of(&record, moment);
            let entry = Entry::resumed(record, machine);
            holders.all.insert(entry.record.holder.clone(), entry);
        }
        Ok(holders)
    }

    fn patience(&self) -> Patience {
        Patience { answer: self.flags.timeout, repeat: self.flags.resend_max }
    }

    fn machine_of(&self, record: &Record, moment: Moment) -> Machine {
        let (client, granted) = (record.client.clone(), record.granted.as_ref());
        Machine::resume(client, self.patience(), seed(), moment, granted, record.wish)
    }

    /// Does what is due. Gives the moment when the next is.
    pub fn work(&mut self, events: &Events, clients: &mut Clients) -> Moment {
        let moment = now();
        let due = |entry: &Entry| {
            entry.machine.due() <= moment || entry.patience_ends.is_some_and(|end| end <= moment)
        };
        let round = self.round <= moment;
        if round {
            self.round = moment + ROUND;
        }
        let ready: Vec<Holder> = self
            .all
            .iter()
            .filter(|(_, entry)| due(entry) || (round && entry.ear.is_none()))
            .map(|(holder, _)| holder.clone())
            .collect();
        for holder in ready {
            self.attend(&holder, moment, events, clients);
        }
        let dues = self
            .all
            .values()
            .map(|entry| entry.machine.due().min(entry.patience_ends.unwrap_or(Moment::MAX)));
        dues.min().unwrap_or(Moment::MAX).min(self.round)
    }

    /// Does what is due for one.
    fn attend(&mut self, holder: &Holder, moment: Moment, events: &Events, clients: &mut Clients) {
        let Some(entry) = self.all.get_mut(holder) else { return };
        if entry.patience_ends.is_some_and(|end| end <= moment) {
            let (protocol, trouble) = (holder.family.protocol(), entry.trouble());
            let seconds = self.flags.resend_timeout.as_secs_f32();
            let error = Error::new(
                Code::TRY_AGAIN,
                format!("no {protocol} lease for {holder} within {seconds} seconds: {trouble}"),
            )
            .details(format!(
                "asked through {} of {}",
                holder.ifname,
                entry.record.netns.display()
            ));
            entry.answer(&Answer::from(error), clients);
            self.end(holder);
            return;
        }
        let inside = match Inside::find(&entry.record) {
            Ok(Some(inside)) => Some(inside),
            Ok(None) => {
                log(holder, "the container, or its interface, is gone");
                let error = Error::new(
                    Code::UNKNOWN_CONTAINER,
                    format!("the interface of {holder} went away while a lease was asked for"),
                );
                entry.answer(&Answer::from(error), clients);
                self.end(holder);
                return;
            }
            Err(e) => {
                log(holder, e);
                None
            }
        };
        if entry.machine.due() > moment {
            return;
        }
        if let Some(inside) = &inside {
            entry.machine.set_mac(inside.mac);
            let ear = entry.ear.as_ref().map(|(_, ear)| inside.can_use(ear));
            if !matches!(ear, Some(Ok(true))) {
                entry.close_ear(&mut self.sockets);
                match inside.ear(holder.family) {
                    Ok(ear) => {
                        entry.mute = None;
                        self.next += 1;
                        if let Err(e) = events.add_packets(&ear, self.next) {
                            log(holder, e);
                        }
                        self.sockets.insert(self.next, holder.clone());
                        entry.ear = Some((self.next, ear));
                    }
                    Err(e) => {
                        log(holder, &e);
                        entry.mute = Some(e.to_string());
                    }
                }
            }
            // Without an address nothing can be asked; what is held goes on to its end.
            if entry.waits_for_address() && !entry.machine.is_bound() {
                let why = format!("{} has no link-local address to ask from", holder.ifname);
                entry.mute = Some(why);
                entry.machine.set_due(moment + self.flags.timeout);
                // The socket would keep the namespace of a container alive that nobody waits for.
                if entry.waiting.is_empty() {
                    entry.close_ear(&mut self.sockets);
                }
                return;
            }
        }
        let effects = entry.machine.on_time(moment);
        self.perform(holder, effects, inside.as_ref(), clients);
    }

    /// Takes what arrived at a socket.
    pub fn hear(&mut self, socket: u64, clients: &mut Clients) {
        let Some(holder) = self.sockets.get(&socket).cloned() else { return };
        for _ in 0..MANY {
            let Some(entry) = self.all.get_mut(&holder) else { return };
            let Some((number, ear)) = &entry.ear else { return };
            if *number != socket {
                return;
            }
            if entry.waits_for_address() {
                // Something has changed: what is due next looks whether it can ask now.
                entry.close_ear(&mut self.sockets);
                if !entry.machine.is_bound() {
                    entry.machine.set_due(now());
                }
                return;
            }
            match ear.receive() {
                Ok(Some((from, packet))) => {
                    let effects = entry.machine.on_packet(&packet, from, now());
                    if !effects.is_empty() {
                        self.perform(&holder, effects, None, clients);
                    }
                }
                // Nothing more, or the link went down or away: what is due next finds that out.
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Does what a machine wants done, and removes its entry where that is its end.
    fn perform(
        &mut self,
        holder: &Holder,
        effects: Vec<Effect>,
        inside: Option<&Inside>,
        clients: &mut Clients,
    ) {
        let Some(entry) = self.all.get_mut(holder) else { return };
        let (mut fate, mut is_of_use) = (Fate::Stays, true);
        for effect in effects {
            match effect {
                Effect::Send { to, packet } => is_of_use &= entry.send(to, &packet),
                Effect::Bound => fate = entry.bound(&self.flags, inside, clients),
                Effect::Lost(lease, why) => entry.lost(&self.flags, &lease, why, inside),
            }
        }
        if !entry.machine.listens() || !is_of_use {
            entry.close_ear(&mut self.sockets);
        }
        if fate == Fate::Ends {
            self.end(holder);
        }
    }

    /// Answers a request, at once or when there is a lease.
    pub fn serve(&mut self, client: u64, request: Request, clients: &mut Clients) {
        match request {
            Request::Status => clients.answer(client, Answer::Done),
            Request::Add(wanted) => {
                if let Err(e) = self.add(client, wanted, clients) {
                    clients.answer(client, e);
                }
            }
            Request::Check(holder) => {
                let granted = self.all.get(&holder).and_then(|entry| entry.machine.granted());
                match granted {
                    Some(granted) => clients.answer(client, Answer::Lease(granted.lease)),
                    None => clients.answer(client, self.without_lease(&holder)),
                }
            }
            Request::Del(holder) => {
                for family in Family::ALL {
                    self.give_back(&holder.of(family), clients);
                }
                clients.answer(client, Answer::Done);
            }
            Request::Undo { holder, born } => {
                if self.all.get(&holder).is_some_and(|entry| entry.record.born == born) {
                    self.give_back(&holder, clients);
                }
                clients.answer(client, Answer::Done);
            }
            Request::Gc { network, keep } => {
                let is_stale = |holder: &&Holder| {
                    let member = (holder.container.clone(), holder.ifname.clone());
                    holder.network == network && !keep.contains(&member)
                };
                let stale: Vec<Holder> = self.all.keys().filter(is_stale).cloned().collect();
                for holder in stale {
                    self.give_back(&holder, clients);
                }
                clients.answer(client, Answer::Done);
            }
        }
    }

    fn without_lease(&self, holder: &Holder) -> Error {
        match self.all.get(holder) {
            Some(entry) => Error::new(
                Code::CHECK,
                format!("{holder} has no lease at the moment: {}", entry.trouble()),
            ),
            None => Error::new(Code::CHECK, format!("{holder} has no lease")),
        }
    }

    /// A lease for an attachment. One that the very same interface has is answered again.
    fn add(&mut self, client: u64, wanted: Wanted, clients: &mut Clients) -> Result<(), Error> {
        let Wanted { holder, netns, provide, request, priority } = wanted;
        let mut path = std::ffi::OsString::from(&self.flags.host_prefix);
        path.push(&netns);
        let netns = std::path::PathBuf::from(path);
        let (inside, cookie) = Inside::of_add(&netns, &holder.ifname, holder.family)?;
        let identity = match holder.family {
            Family::Ipv4 => {
                let client = message::v4::Client {
                    mac: inside.mac,
                    id: identifier(&holder),
                    broadcast: self.flags.broadcast,
                    provide,
                    request: request.into_iter().collect(),
                };
                client.check_size(inside.link.mtu)?;
                Client::V4(client)
            }
            Family::Ipv6 => Client::V6(message::v6::Client::of(&name(&holder))),
        };
        let moment = now();
        if let Some(entry) = self.all.get_mut(&holder) {
            if (entry.record.cookie, entry.record.index) == (cookie, inside.link.index) {
                if let Some(granted) = entry.machine.granted() {
                    clients.answer(client, Answer::Lease(granted.lease));
                } else {
                    entry.waiting.push(client);
                    entry.patience_ends = Some(moment + self.flags.resend_timeout);
                    entry.machine.hurry(moment);
                }
                return Ok(());
            }
            self.give_back(&holder, clients);
        }
        let record = Record {
            boot: self.boot.clone(),
            netns,
            cookie,
            index: inside.link.index,
            client: identity,
            priority,
            granted: None,
            wish: None,
            kept: Vec::new(),
            born: u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX),
            holder: holder.clone(),
        };
        let machine = Machine::new(record.client.clone(), self.patience(), seed(), moment);
        let entry = Entry {
            record,
            machine,
            ear: None,
            mute: None,
            by: client,
            waiting: vec![client],
            patience_ends: Some(moment + self.flags.resend_timeout),
        };
        self.all.insert(holder, entry);
        Ok(())
    }

    /// Tells the server that a lease is not needed any more, and forgets it.
    fn give_back(&mut self, holder: &Holder, clients: &mut Clients) {
        let Some(entry) = self.all.get_mut(holder) else { return };
        if let Ok(Some(inside)) = Inside::find(&entry.record) {
            entry.machine.set_mac(inside.mac);
            // The address and port of an unanswered question are in use until then.
            entry.close_ear(&mut self.sockets);
            if let Some(Effect::Send { to, packet }) = entry.machine.release(now()) {
                match inside.ear(holder.family).and_then(|ear| ear.send(to, &packet)) {
                    Ok(()) => log(holder, "the lease is given back"),
                    // The server takes it back when it has expired.
                    Err(e) => log(holder, e),
                }
            }
        }
        let error = Error::new(Code::TRY_AGAIN, format!("{holder} was removed meanwhile"));
        entry.answer(&Answer::from(error), clients);
        self.end(holder);
    }

    /// A client went away: nobody waits for what it alone has asked for.
    pub fn forget_client(&mut self, client: u64) {
        let mut alone = Vec::new();
        for (holder, entry) in &mut self.all {
            let before = entry.waiting.len();
            entry.waiting.retain(|waiting| *waiting != client);
            if before > 0 && entry.waiting.is_empty() {
                entry.patience_ends = None;
                if !entry.machine.is_bound() {
                    alone.push(holder.clone());
                }
            }
        }
        for holder in alone {
            self.end(&holder);
        }
    }

    fn end(&mut self, holder: &Holder) {
        if let Some(mut entry) = self.all.remove(holder) {
            entry.close_ear(&mut self.sockets);
        }
        if let Err(e) = record::remove(&self.flags.state, holder) {
            log(holder, format_args!("removing its file: {e}"));
        }
    }
}

/// Byte 0, for an identifier that is no hardware address, and the attachment, as the reference has it.
fn identifier(holder: &Holder) -> Vec<u8> {
    std::iter::once(0).chain(name(holder).bytes().take(254)).collect()
}

/// The attachment's name, as servers get to hear of it.
fn name(holder: &Holder) -> String {
    format!("{}/{}/{}", holder.container, holder.network, holder.ifname)
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    match File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => u64::try_from(now().as_nanos()).unwrap_or(u64::MAX),
    }
}

fn log(holder: &Holder, what: impl std::fmt::Display) {
    cni::warn(format_args!("dhcp: {holder}: {what}"));
}
