//! What servers answer (RFC 8415, section 16).

use std::net::Ipv6Addr;
use std::time::Duration;

use super::ASSOCIATION;
use crate::lease::v6::{Duid, Lease, Times};

/// A DUID has at most 128 bytes after its type (section 11.1).
const LONGEST_DUID: usize = 130;

/// The codes of the options that are read (sections 21.2 to 21.25, RFC 3646).
mod option {
    pub const CLIENT: u16 = 1;
    pub const SERVER: u16 = 2;
    pub const ASSOCIATION: u16 = 3;
    pub const ADDRESS: u16 = 5;
    pub const STATUS: u16 = 13;
    pub const RAPID_COMMIT: u16 = 14;
    pub const NAME_SERVERS: u16 = 23;
    pub const SEARCH: u16 = 24;
    pub const LONGEST_PAUSE: u16 = 82;
}

/// Status codes (section 21.13).
pub mod status {
    pub const SUCCESS: u16 = 0;
    pub const NO_ADDRESSES: u16 = 2;
    pub const NO_BINDING: u16 = 3;
    pub const NOT_ON_LINK: u16 = 4;
}

/// Which of the two messages for clients it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// What the server would grant.
    Advertise,
    /// What it grants, or does not.
    Reply,
}

/// A server's message to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which one.
    pub said: Said,
    /// The transaction.
    pub xid: u32,
    /// The server's DUID.
    pub server: Vec<u8>,
    /// It grants at once what was only asked about (section 21.14).
    pub is_rapid: bool,
    /// What it says of the whole.
    pub status: Option<Status>,
    /// What it says of the association.
    pub association: Option<Association>,
    /// Resolvers.
    pub name_servers: Vec<Ipv6Addr>,
    /// Domains to search.
    pub search: Vec<String>,
    /// The longest pause that there should be between two questions of who serves.
    pub longest_pause: Option<Duration>,
}

/// What a server says of an association (section 21.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Association {
    t1: u32,
    t2: u32,
    status: Option<Status>,
    addresses: Vec<Address>,
}

/// An address and its times in seconds (section 21.6).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    ip: Ipv6Addr,
    preferred: u32,
    valid: u32,
    status: Option<Status>,
}

/// How it went, in a number and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The number.
    pub code: u16,
    text: String,
}

/// Why a message is no lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The server's own word for it: [`status`].
    pub code: Option<u16>,
    /// In words.
    pub why: String,
}

impl Reply {
    /// Reads a message to this client. `None` when it is anything else, or malformed.
    pub fn read(message: &[u8], duid: &[u8]) -> Option<Self> {
        let (head, options) = message.split_first_chunk::<4>()?;
        let said = match head[0] {
            2 => Said::Advertise,
            7 => Said::Reply,
            _ => return None,
        };
        let mut reply = Self {
            said,
            xid: u32::from_be_bytes([0, head[1], head[2], head[3]]),
            server: Vec::new(),
            is_rapid: false,
            status: None,
            association: None,
            name_servers: Vec::new(),
            search: Vec::new(),
            longest_pause: None,
        };
        let mut client = None;
        for (code, value) in options_of(options)? {
            match code {
                option::CLIENT => client = Some(value),
                option::SERVER => reply.server = value.to_vec(),
                option::RAPID_COMMIT => reply.is_rapid = true,
                option::STATUS => reply.status = Some(Status::read(value)?),
                option::ASSOCIATION => {
                    let read = Association::read(value)?;
                    reply.association = reply.association.or(read);
                }
                option::NAME_SERVERS => add(&mut reply.name_servers, addresses(value)),
                option::SEARCH => add(&mut reply.search, domains(value)),
                option::LONGEST_PAUSE => {
                    let seconds = u32::from_be_bytes(value.try_into().ok()?);
                    let meant = Some(seconds).filter(|s| (60..=86400).contains(s));
                    reply.longest_pause = meant.map(|s| Duration::from_secs(s.into()));
                }
                _ => {}
            }
        }
        let is_ours = client? == duid && (1..=LONGEST_DUID).contains(&reply.server.len());
        is_ours.then_some(reply)
    }

    /// The lease that it is, of `wanted` rather than of another address.
    pub fn lease(&self, wanted: Option<Ipv6Addr>) -> Result<Lease, Refused> {
        let no = |why: &str| Refused { code: None, why: why.to_owned() };
        if let Some(refused) = self.status.as_ref().and_then(Status::refusal) {
            return Err(refused);
        }
        let association = self.association.as_ref().ok_or_else(|| no("it has no IA_NA of ours"))?;
        if let Some(refused) = association.status.as_ref().and_then(Status::refusal) {
            return Err(refused);
        }
        let mut refused = no("its IA_NA has no address");
        let mut granted = Vec::new();
        for one in &association.addresses {
            if let Some(why) = one.status.as_ref().and_then(Status::refusal) {
                refused = why;
            } else if !is_hosts(one.ip) {
                refused = no(&format!("{} is no host's address", one.ip));
            } else if let Some(times) =
                Times::of(association.t1, association.t2, one.preferred, one.valid)
            {
                granted.push((one.ip, times));
            } else {
                refused = no(&format!(
                    "the times of {} make no sense: preferred {} s, valid {} s, T1 {} s, T2 {} s",
                    one.ip, one.preferred, one.valid, association.t1, association.t2
                ));
            }
        }
        let is_wanted = |(address, _): &&(Ipv6Addr, Times)| Some(*address) == wanted;
        let Some((address, times)) = granted.iter().find(is_wanted).or(granted.first()) else {
            return Err(refused);
        };
        Ok(Lease {
            address: *address,
            name_servers: self.name_servers.clone(),
            search: self.search.clone(),
            server: self.server.clone(),
            times: *times,
        })
    }

    /// True when the server says of an address that it must not be used any more.
    pub fn withdraws(&self, address: Ipv6Addr) -> bool {
        let all = self.association.iter().flat_map(|association| &association.addresses);
        all.filter(|one| one.ip == address).any(|one| one.valid == 0)
    }

    /// The server, in words.
    pub fn from(&self) -> String {
        Duid(&self.server).to_string()
    }
}

impl Association {
    /// `None` inside where it is another one than ours.
    #[expect(clippy::option_option, reason = "malformed, another's, and ours are three")]
    fn read(value: &[u8]) -> Option<Option<Self>> {
        let (head, rest) = value.split_first_chunk::<12>()?;
        let [id, t1, t2] = [0, 4, 8].map(|at| number(head, at));
        let mut association = Self { t1: t1?, t2: t2?, ..Self::default() };
        for (code, value) in options_of(rest)? {
            match code {
                option::STATUS => association.status = Some(Status::read(value)?),
                option::ADDRESS => association.addresses.push(Address::read(value)?),
                _ => {}
            }
        }
        Some((id? == ASSOCIATION).then_some(association))
    }
}

#[cfg(test)]
impl Association {
    /// One of these addresses, with their preferred and valid times, and this status.
    pub fn of(addresses: &[(Ipv6Addr, u32, u32)], code: Option<u16>) -> Self {
        let address = |&(ip, preferred, valid): &(Ipv6Addr, u32, u32)| Address {
            ip,
            preferred,
            valid,
            status: None,
        };
        Self {
            t1: 0,
            t2: 0,
            status: code.map(|code| Status { code, text: String::new() }),
            addresses: addresses.iter().map(address).collect(),
        }
    }
}

impl Address {
    fn read(value: &[u8]) -> Option<Self> {
        let (ip, rest) = value.split_first_chunk::<16>()?;
        let (times, rest) = rest.split_first_chunk::<8>()?;
        let mut status = None;
        for (code, value) in options_of(rest)? {
            if code == option::STATUS {
                status = Some(Status::read(value)?);
            }
        }
        let (preferred, valid) = (number(times, 0)?, number(times, 4)?);
        Some(Self { ip: (*ip).into(), preferred, valid, status })
    }
}

impl Status {
    fn read(value: &[u8]) -> Option<Self> {
        let (code, text) = value.split_first_chunk::<2>()?;
        // It goes to logs and error messages.
        let printable = text.iter().filter(|byte| matches!(byte, b' '..=b'~')).take(200);
        let text = printable.map(|byte| char::from(*byte)).collect();
        Some(Self { code: u16::from_be_bytes(*code), text })
    }

    fn refusal(&self) -> Option<Refused> {
        let name = match self.code {
            status::SUCCESS => return None,
            1 => "UnspecFail",
            status::NO_ADDRESSES => "NoAddrsAvail",
            status::NO_BINDING => "NoBinding",
            status::NOT_ON_LINK => "NotOnLink",
            5 => "UseMulticast",
            _ => "unknown",
        };
        let why = format!("the server says {name} ({}): {}", self.code, self.text);
        Some(Refused { code: Some(self.code), why })
    }
}

/// Codes and values. `None` when they do not fill the bytes exactly.
pub(super) fn options_of(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let ([a, b, c, d], rest) = bytes.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u16::from_be_bytes([*c, *d]).into())?;
        all.push((u16::from_be_bytes([*a, *b]), value));
        bytes = rest;
    }
    Some(all)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// An address that an interface may have and others can reach: none that only embeds one of IPv4.
fn is_hosts(address: Ipv6Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || address.to_ipv4().is_some())
}

/// Adds what is not there yet, as long as that are not more than anybody needs.
fn add<T: PartialEq>(to: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    /// No resolver asks more than three, and glibc searches as many domains as there are.
    const MOST: usize = 32;
    for one in more {
        if to.len() < MOST && !to.contains(&one) {
            to.push(one);
        }
    }
}

/// Resolvers. One with a link-local address is of no use: in a result it has no link.
fn addresses(value: &[u8]) -> impl Iterator<Item = Ipv6Addr> {
    let all = value.as_chunks::<16>().0.iter().map(|octets| Ipv6Addr::from(*octets));
    all.filter(|address| is_hosts(*address))
}

/// The names of option 24, which are not compressed (section 10). None of them when one is malformed,
/// or has anything in it that a resolver's file could take for something else.
fn domains(mut value: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while !value.is_empty() {
        let mut labels = Vec::new();
        loop {
            let Some((&length, rest)) = value.split_first() else { return Vec::new() };
            let Some((label, rest)) = rest.split_at_checked(length.into()) else {
                return Vec::new();
            };
            value = rest;
            if length == 0 {
                break;
            }
            let is_plain =
                label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
            let Some(label) = str::from_utf8(label).ok().filter(|_| length < 64 && is_plain) else {
                return Vec::new();
            };
            labels.push(label);
        }
        let name = labels.join(".");
        if !name.is_empty() && name.len() < 254 {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
