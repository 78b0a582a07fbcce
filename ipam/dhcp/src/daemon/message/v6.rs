//! Messages of DHCPv6 (RFC 8415): what is asked, and what was answered.

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::Encodable as _;
use dhcproto::v6::{self, DhcpOption, DhcpOptions, IAAddr, IANA, MessageType, OROCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

mod reply;

#[cfg(test)]
pub use reply::Association;
pub use reply::{Reply, Said, status};

/// The ports of client and server (RFC 8415, section 7.2).
pub const CLIENT_PORT: u16 = 546;
pub const SERVER_PORT: u16 = 547;
/// All servers and relays of the link (section 7.1).
pub const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// The only association that a client has.
const ASSOCIATION: u32 = 1;

/// What is the same in every message of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Who it is.
    pub duid: Vec<u8>,
}

/// What is asked (section 16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Who has an address, possibly this one?
    Solicit(Option<Ipv6Addr>),
    /// This address is taken from this server.
    Request { address: Ipv6Addr, server: Vec<u8> },
    /// This address is to be kept, by the server that granted it.
    Renew { address: Ipv6Addr, server: Vec<u8> },
    /// This address is to be kept, by any server.
    Rebind(Ipv6Addr),
    /// This address is given back to this server.
    Release { address: Ipv6Addr, server: Vec<u8> },
}

impl Client {
    /// The client of an attachment. Its DUID is a UUID (RFC 6355) of the attachment's name, and so the
    /// same after any restart and whatever hardware address the interface has.
    pub fn of(name: &str) -> Self {
        /// `DUID-UUID`
        const KIND: [u8; 2] = [0, 4];
        let mut uuid: Vec<u8> = Sha256::digest(name).iter().take(16).copied().collect();
        // Version 8, of a maker's own kind, and the variant (RFC 9562, sections 4.1 and 5.8).
        if let [_, _, _, _, _, _, version, _, variant, ..] = uuid.as_mut_slice() {
            *version = *version & 0x0f | 0x80;
            *variant = *variant & 0x3f | 0x80;
        }
        Self { duid: [&KIND[..], &uuid].concat() }
    }

    /// The message of a transaction that began so long ago.
    pub fn message(&self, asked: &Asked, xid: u32, elapsed: Duration) -> Option<Vec<u8>> {
        let (kind, address, server) = match asked {
            Asked::Solicit(wish) => (MessageType::Solicit, *wish, None),
            Asked::Request { address, server } => {
                (MessageType::Request, Some(*address), Some(server))
            }
            Asked::Renew { address, server } => (MessageType::Renew, Some(*address), Some(server)),
            Asked::Rebind(address) => (MessageType::Rebind, Some(*address), None),
            Asked::Release { address, server } => {
                (MessageType::Release, Some(*address), Some(server))
            }
        };
        let [_, xid @ ..] = xid.to_be_bytes();
        let mut message = v6::Message::new_with_id(kind, xid);
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientId(self.duid.clone()));
        if let Some(server) = server {
            options.insert(DhcpOption::ServerId(server.clone()));
        }
        // Hundredths of a second (section 21.9).
        let elapsed = u16::try_from(elapsed.as_millis() / 10).unwrap_or(u16::MAX);
        options.insert(DhcpOption::ElapsedTime(elapsed));
        let mut inner = DhcpOptions::new();
        if let Some(addr) = address {
            // The times are the server's to choose (section 21.6).
            let (preferred_life, valid_life, opts) = (0, 0, DhcpOptions::new());
            inner.insert(DhcpOption::IAAddr(IAAddr { addr, preferred_life, valid_life, opts }));
        }
        options.insert(DhcpOption::IANA(IANA { id: ASSOCIATION, t1: 0, t2: 0, opts: inner }));
        if kind != MessageType::Release {
            // The last one has to be asked for (section 21.24).
            let opts = [OROCode::DomainNameServers, OROCode::DomainSearchList, OROCode::SolMaxRt];
            let opts = opts.into_iter().map(Into::into).collect();
            options.insert(DhcpOption::ORO(v6::ORO { opts }));
        }
        if kind == MessageType::Solicit {
            options.insert(DhcpOption::RapidCommit);
        }
        message.to_vec().ok()
    }
}

#[cfg(test)]
mod tests;
