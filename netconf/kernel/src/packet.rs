//! Packet sockets: what a host speaks through that has no address yet.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike as _, bind, recvfrom,
    sendto, socket,
};

use crate::link::Link;
use crate::{Error, MacAddr, Result, fault};

/// `ETH_P_IP`, as `sockaddr_ll` has it.
const IPV4: u16 = 0x0800_u16.to_be();
/// The largest packet that is read; a longer one is cut.
const LARGEST: usize = 64 * 1024;

/// Receives the UDP datagrams of IPv4 to one port that arrive at one link, whatever addresses the
/// link has, and sends IPv4 packets through it. It stays in the namespace of the thread that opened
/// it, and keeps that alive.
#[derive(Debug)]
pub struct Packets {
    socket: OwnedFd,
    index: u32,
    name: String,
}

impl Packets {
    /// Opens one in the calling thread's namespace, non-blocking, for datagrams to `port`.
    pub fn open(link: &Link, port: u16) -> Result<Self> {
        let fail = |e: io::Error| Error::new("open a packet socket on", &link.name, e);
        fault::point("open a packet socket").map_err(fail)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Of no protocol, so that nothing arrives before the filter is there.
        let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, None)
            .map_err(|e| fail(e.into()))?;
        filter(&socket, port).map_err(fail)?;
        let own = address(link.index, MacAddr([0; 6])).map_err(fail)?;
        bind(socket.as_raw_fd(), &own).map_err(|e| fail(e.into()))?;
        Ok(Self { socket, index: link.index, name: link.name.clone() })
    }

    /// Sends an IPv4 packet to a neighbour. ENETDOWN while the link is down, ENXIO when it is gone.
    pub fn send(&self, to: MacAddr, packet: &[u8]) -> Result<()> {
        let fail = |e: io::Error| Error::new("send through", &self.name, e);
        fault::point("send a packet").map_err(fail)?;
        let to = address(self.index, to).map_err(fail)?;
        sendto(self.socket.as_raw_fd(), packet, &to, MsgFlags::empty())
            .map(drop)
            .map_err(|e| fail(e.into()))
    }

    /// The next packet and who sent it, `None` when there is none now. An error that the link has
    /// (ENETDOWN, because it went down or away) is told once.
    pub fn receive(&self) -> Result<Option<(MacAddr, Vec<u8>)>> {
        let mut packet = vec![0; LARGEST];
        match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut packet) {
            Ok((length, from)) => {
                packet.truncate(length);
                let from = from.and_then(|from| from.addr()).unwrap_or_default();
                Ok(Some((MacAddr(from), packet)))
            }
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => Ok(None),
            Err(e) => Err(Error::new("receive from", &self.name, e.into())),
        }
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A neighbour at a link.
#[expect(unsafe_code, reason = "nix makes no LinkAddr of anything else")]
fn address(index: u32, mac: MacAddr) -> io::Result<LinkAddr> {
    let mut bytes = [0; 8];
    bytes[..6].copy_from_slice(&mac.0);
    let raw = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: IPV4,
        sll_ifindex: i32::try_from(index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: bytes,
    };
    let length = libc::socklen_t::try_from(size_of_val(&raw)).ok();
    // SAFETY: the pointer leads to a whole `sockaddr_ll`, as its family and `length` say.
    let address = unsafe { LinkAddr::from_raw((&raw const raw).cast(), length) };
    address.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Lets pass what is UDP, no later fragment, and to `port`. The packet begins with its IPv4 header.
#[expect(unsafe_code, reason = "nix has no wrapper of this option")]
fn filter(socket: &OwnedFd, port: u16) -> io::Result<()> {
    use libc::{BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K};
    use libc::{BPF_LD, BPF_LDX, BPF_MSH, BPF_RET};

    let op = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    let program = [
        op(BPF_LD | BPF_B | BPF_ABS, 0, 0, 9),
        op(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, 17),
        op(BPF_LD | BPF_H | BPF_ABS, 0, 0, 6),
        op(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 0x1fff),
        op(BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0),
        op(BPF_LD | BPF_H | BPF_IND, 0, 0, 2),
        op(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, port.into()),
        op(BPF_RET | BPF_K, 0, 0, u32::MAX),
        op(BPF_RET | BPF_K, 0, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap_or_default(),
        filter: program.as_ptr().cast_mut(),
    };
    let length = libc::socklen_t::try_from(size_of_val(&program)).unwrap_or_default();
    // SAFETY: the kernel reads `program` and the instructions that it leads to, which live through
    // the call, and writes to neither.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
