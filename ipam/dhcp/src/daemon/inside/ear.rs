//! What servers are heard by, and spoken to, through a container's interface.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use kernel::datagram::Datagrams;
use kernel::events::{Events, Group};
use kernel::packet::Packets;
use kernel::{MacAddr, address};

use super::Inside;
use crate::daemon::machine::Destination;
use crate::daemon::message::{v4, v6};
use crate::lease::Family;

/// A socket in a container's namespace.
#[derive(Debug)]
pub enum Ear {
    /// Of a host that need not have an address yet.
    Packets(Packets),
    /// Of a host with a link-local address.
    Datagrams(Datagrams, Ipv6Addr),
    /// Of one that has none yet, or is still finding out whether it is its own: hears when that
    /// changes, and can say nothing.
    Addresses(Events, String),
}

impl Ear {
    /// Sends a packet, where that can be done.
    pub fn send(&self, to: Destination, packet: &[u8]) -> kernel::Result<()> {
        match (self, to) {
            (Self::Packets(packets), Destination::Neighbour(to)) => packets.send(to, packet),
            (Self::Datagrams(socket, _), Destination::Servers(to)) => {
                socket.send(to, v6::SERVER_PORT, packet)
            }
            (Self::Addresses(_, link), _) => {
                let why = io::Error::from(io::ErrorKind::AddrNotAvailable);
                Err(kernel::Error::new("send through", link, why))
            }
            _ => Ok(()),
        }
    }

    /// The next packet, and the neighbour that sent it where that is known.
    pub fn receive(&self) -> kernel::Result<Option<(MacAddr, Vec<u8>)>> {
        match self {
            Self::Packets(packets) => packets.receive(),
            Self::Datagrams(socket, _) => {
                Ok(socket.receive()?.map(|packet| (MacAddr([0; 6]), packet)))
            }
            Self::Addresses(..) => Ok(None),
        }
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Packets(packets) => packets.as_fd(),
            Self::Datagrams(socket, _) => socket.as_fd(),
            Self::Addresses(events, _) => events.as_fd(),
        }
    }
}

impl Inside {
    /// A socket for a protocol.
    pub fn ear(&self, family: Family) -> kernel::Result<Ear> {
        if family == Family::Ipv4 {
            let packets = self.netns.enter(|| Packets::open(&self.link, v4::CLIENT_PORT));
            return packets.map(Ear::Packets);
        }
        if let Some(own) = self.link_local()? {
            return self.datagrams(own);
        }
        // Listened for first, and looked at again then: so no change slips through.
        let events = self.netns.enter(|| Events::open(Group::Ipv6Address))?;
        match self.link_local()? {
            None => Ok(Ear::Addresses(events, self.link.name.clone())),
            Some(own) => self.datagrams(own),
        }
    }

    fn datagrams(&self, own: Ipv6Addr) -> kernel::Result<Ear> {
        let socket = self.netns.enter(|| Datagrams::open(&self.link, own, v6::CLIENT_PORT))?;
        Ok(Ear::Datagrams(socket, own))
    }

    /// True when a socket can be spoken through. The kernel goes on to send from an address that has
    /// gone, to which nobody can answer.
    pub fn can_use(&self, ear: &Ear) -> kernel::Result<bool> {
        match ear {
            Ear::Packets(_) => Ok(true),
            Ear::Datagrams(_, own) => Ok(self.link_local()? == Some(*own)),
            Ear::Addresses(..) => Ok(false),
        }
    }

    /// The link-local address, once it may be used.
    fn link_local(&self) -> kernel::Result<Option<Ipv6Addr>> {
        let all = address::list(&self.socket, self.link.index, true)?;
        let usable = all.into_iter().filter(|one| !one.tentative && !one.dad_failed);
        let mut own = usable.filter_map(|one| match one.address.ip() {
            IpAddr::V6(ip) => Some(ip).filter(Ipv6Addr::is_unicast_link_local),
            IpAddr::V4(_) => None,
        });
        Ok(own.next())
    }
}
