//! DHCP messages in IPv4 packets: what is asked, and what was answered.

use std::net::Ipv4Addr;

use cni::{Code, Error};
use dhcproto::v4::borrowed::DhcpOptionIterator;
use dhcproto::v4::{self, DhcpOption, Flags, MessageType, Opcode, OptionCode, UnknownOption};
use dhcproto::{Decodable as _, Decoder, Encodable as _};
use kernel::MacAddr;
use serde::{Deserialize, Serialize};

use crate::lease::v4::{Options, option};

/// The ports of client and server (RFC 2131, section 4.1).
pub const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// `IPPROTO_UDP`
const UDP: u8 = 17;
/// The headers of IPv4, without options, and of UDP.
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// The largest message that we take: what an Ethernet frame holds (option 57).
const LARGEST: u16 = 1500 - 28;

/// What is the same in every message of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The interface's hardware address.
    pub mac: MacAddr,
    /// The client identifier, unless [`provide`](Self::provide) has one.
    pub id: Vec<u8>,
    /// Servers are told to answer by broadcast.
    pub broadcast: bool,
    /// Further options.
    pub provide: Options,
    /// The options that are asked for.
    pub request: Vec<u8>,
}

/// A message of ours, as far as it differs from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked.
    pub kind: Asked,
    /// The transaction.
    pub xid: u32,
    /// For how many seconds already.
    pub seconds: u16,
}

/// What is asked (RFC 2131, table 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Who offers an address, possibly this one?
    Discover(Option<Ipv4Addr>),
    /// This address is taken from this server.
    Select { address: Ipv4Addr, server: Ipv4Addr },
    /// This address is to be kept, by the server that granted it or by any.
    Keep(Ipv4Addr),
    /// This address is given back to this server.
    Release { address: Ipv4Addr, server: Ipv4Addr },
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It offers this address.
    Offer(Ipv4Addr),
    /// It grants this address.
    Ack(Ipv4Addr),
    /// It refuses what was asked.
    Nak,
}

/// A server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub said: Said,
    /// The transaction.
    pub xid: u32,
    /// Its options.
    pub options: Options,
    /// The domains of option 119.
    pub search: Vec<String>,
    /// The neighbour that it came from: the server, or the router towards it.
    pub neighbour: MacAddr,
}

impl Client {
    /// The message in a packet from `source` to `destination`. `None` when its options are more than
    /// a packet holds.
    pub fn packet(&self, ask: &Ask, source: Ipv4Addr, destination: Ipv4Addr) -> Option<Vec<u8>> {
        let none = Ipv4Addr::UNSPECIFIED;
        let own = match ask.kind {
            Asked::Keep(address) | Asked::Release { address, .. } => address,
            Asked::Discover(_) | Asked::Select { .. } => none,
        };
        let mut message = v4::Message::new_with_id(ask.xid, own, none, none, none, &self.mac.0);
        message.set_opcode(Opcode::BootRequest).set_secs(ask.seconds);
        if self.broadcast {
            message.set_flags(Flags::default().set_broadcast());
        }
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientIdentifier(self.id.clone()));
        let (kind, address, server) = match ask.kind {
            Asked::Discover(wish) => (MessageType::Discover, wish, None),
            Asked::Select { address, server } => {
                (MessageType::Request, Some(address), Some(server))
            }
            Asked::Keep(_) => (MessageType::Request, None, None),
            Asked::Release { server, .. } => (MessageType::Release, None, Some(server)),
        };
        if kind == MessageType::Release {
            // RFC 2131, table 5: such a message asks for nothing.
            if let Some(id) = self.provide.get(&u8::from(OptionCode::ClientIdentifier)) {
                options.insert(DhcpOption::ClientIdentifier(id.clone()));
            }
        } else {
            options.insert(DhcpOption::MaxMessageSize(LARGEST));
            let request = self.request.iter().map(|code| OptionCode::from(*code)).collect();
            options.insert(DhcpOption::ParameterRequestList(request));
            for (code, value) in &self.provide {
                let code = OptionCode::from(*code);
                options.remove(code);
                options.insert(DhcpOption::Unknown(UnknownOption::new(code, value.clone())));
            }
        }
        options.insert(DhcpOption::MessageType(kind));
        address.map(|address| options.insert(DhcpOption::RequestedIpAddress(address)));
        server.map(|server| options.insert(DhcpOption::ServerIdentifier(server)));
        let mut bytes = message.to_vec().ok()?;
        // Some relays drop what is shorter than a message of BOOTP (RFC 1542, section 2.1).
        bytes.resize(bytes.len().max(300), 0);
        packet(source, destination, &bytes)
    }
}

impl Client {
    /// Refuses options that make a message longer than a link carries. Code 7.
    pub fn check_size(&self, mtu: u32) -> Result<(), Error> {
        let none = Ipv4Addr::UNSPECIFIED;
        // Of the messages, the one with the most options of its own.
        let kind = Asked::Select { address: none, server: none };
        let packet = self.packet(&Ask { kind, xid: 0, seconds: 0 }, none, none);
        let length = packet.and_then(|packet| u32::try_from(packet.len()).ok());
        if length.is_some_and(|length| length <= mtu) {
            return Ok(());
        }
        let provided: usize = self.provide.values().map(Vec::len).sum();
        Err(Error::new(
            Code::CONFIG,
            format!(
                "ipam.provide: {provided} bytes in {} options are more than a message holds, with \
                 the interface's MTU of {mtu}",
                self.provide.len()
            ),
        ))
    }
}

impl Reply {
    /// Reads a packet to a client of this hardware address. `None` when it is anything else, or
    /// malformed.
    ///
    /// Checksums are not looked at: of what comes from the same node they are left to a network
    /// card that never sees it, and what came over a wire has been verified by its card.
    pub fn read(packet: &[u8], mac: MacAddr, neighbour: MacAddr) -> Option<Self> {
        let message = payload(packet)?;
        // Up to the magic cookie; see RFC 2131, figure 1.
        let (head, options) = message.split_at_checked(240)?;
        let at = |from: usize, to: usize| head.get(from..to);
        let is_ours =
            at(0, 3)? == [2, 1, 6] && at(28, 34)? == mac.0 && at(236, 240)? == [99, 130, 83, 99];
        if !is_ours {
            return None;
        }
        let mut all = Options::new();
        let mut read = |bytes: &[u8]| {
            for one in DhcpOptionIterator::new(bytes) {
                // One that comes in parts is all of them, in order (RFC 3396).
                all.entry(one.code().into()).or_default().extend_from_slice(one.data());
            }
            all.get(&u8::from(OptionCode::OptionOverload)).and_then(|v| v.first().copied())
        };
        // Options may go on in the fields of file and server name.
        let overload = read(options).unwrap_or_default();
        if overload & 1 != 0 {
            read(at(108, 236)?);
        }
        if overload & 2 != 0 {
            read(at(44, 108)?);
        }
        let address: [u8; 4] = at(16, 20)?.try_into().ok()?;
        let said = match all.get(&u8::from(OptionCode::MessageType))?.as_slice() {
            [2] => Said::Offer(address.into()),
            [5] => Said::Ack(address.into()),
            [6] => Said::Nak,
            _ => return None,
        };
        let xid = u32::from_be_bytes(at(4, 8)?.try_into().ok()?);
        let search = all.get(&option::SEARCH).map(|v| domains(v)).unwrap_or_default();
        Some(Self { said, xid, options: all, search, neighbour })
    }

    /// The server that says so.
    pub fn server(&self) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.options.get(&option::SERVER)?.as_slice().try_into().ok()?;
        Some(octets.into())
    }
}

/// The names of option 119, compressed as in DNS (RFC 3397). None of them when one is malformed.
fn domains(value: &[u8]) -> Vec<String> {
    let Ok(length) = u8::try_from(value.len()) else { return Vec::new() };
    let whole = [&[option::SEARCH, length], value].concat();
    let Ok(DhcpOption::DomainSearch(names)) = DhcpOption::decode(&mut Decoder::new(&whole)) else {
        return Vec::new();
    };
    let is_plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_graphic());
    let text = |name: &dyn ToString| name.to_string().trim_end_matches('.').to_owned();
    names.iter().map(|name| text(name)).filter(|n| !n.is_empty()).filter(is_plain).collect()
}

/// An IPv4 packet with a UDP datagram from the client's port to the server's.
fn packet(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(UDP_HEADER + payload.len()).ok()?;
    let total = u16::try_from(IP_HEADER).ok()?.checked_add(length)?;
    let mut udp = Vec::with_capacity(usize::from(length));
    udp.extend(CLIENT_PORT.to_be_bytes());
    udp.extend(SERVER_PORT.to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let pseudo =
        [&source.octets()[..], &destination.octets(), &[0, UDP], &length.to_be_bytes(), &udp]
            .concat();
    // 0 would say that there is none.
    put(&mut udp, 6, Some(checksum(&pseudo)).filter(|sum| *sum != 0).unwrap_or(u16::MAX));

    let mut packet = Vec::with_capacity(usize::from(total));
    packet.extend([0x45, 0]);
    packet.extend(total.to_be_bytes());
    // No id, no fragments; it lives for 64 hops.
    packet.extend([0, 0, 0, 0, 64, UDP, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum = checksum(&packet);
    put(&mut packet, 10, sum);
    packet.extend(udp);
    Some(packet)
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// What the datagram to the client's port holds.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let header = usize::from(first & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    // What is behind the packet pads the frame.
    let packet = packet.get(..total)?;
    let is_udp = first >> 4 == 4 && header >= IP_HEADER && *packet.get(9)? == UDP;
    let udp = packet.get(header..).filter(|_| is_udp)?;
    let length = usize::from(u16::from_be_bytes(udp.get(4..6)?.try_into().ok()?));
    let is_answer = udp.get(2..4)? == CLIENT_PORT.to_be_bytes();
    udp.get(UDP_HEADER..length).filter(|_| is_answer)
}

#[cfg(test)]
mod tests;
