//! UDP sockets of one link.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use crate::link::Link;
use crate::{Error, Result, fault};

/// The largest datagram that is read; a longer one is cut.
const LARGEST: usize = 64 * 1024;

/// Sends and receives UDP datagrams of IPv6 through one link, from one link-local address and one port.
/// It stays in the namespace of the thread that opened it, and keeps that alive.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    index: u32,
    name: String,
}

impl Datagrams {
    /// Opens one in the calling thread's namespace, non-blocking. EADDRNOTAVAIL when the link does not
    /// have the address, or may not use it yet; EADDRINUSE when somebody has it with this port.
    pub fn open(link: &Link, own: Ipv6Addr, port: u16) -> Result<Self> {
        let fail = |e: io::Error| {
            Error::new("open a UDP socket on", format_args!("{} port {port}", link.name), e)
        };
        fault::point("open a UDP socket").map_err(fail)?;
        let socket = UdpSocket::bind(SocketAddrV6::new(own, port, 0, link.index)).map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        Ok(Self { socket, index: link.index, name: link.name.clone() })
    }

    /// Sends a datagram to an address of the link. ENETDOWN, ENODEV and such while the link is not up.
    pub fn send(&self, to: Ipv6Addr, port: u16, datagram: &[u8]) -> Result<()> {
        let fail = |e: io::Error| Error::new("send through", &self.name, e);
        fault::point("send a datagram").map_err(fail)?;
        let to = SocketAddrV6::new(to, port, 0, self.index);
        self.socket.send_to(datagram, to).map(drop).map_err(fail)
    }

    /// The next datagram, `None` when there is none now.
    pub fn receive(&self) -> Result<Option<Vec<u8>>> {
        let mut datagram = vec![0; LARGEST];
        match self.socket.recv(&mut datagram) {
            Ok(length) => {
                datagram.truncate(length);
                Ok(Some(datagram))
            }
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            Err(e) => Err(Error::new("receive from", &self.name, e)),
        }
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
