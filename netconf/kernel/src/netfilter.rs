//! A netlink socket to netfilter (`NETLINK_NETFILTER`): transactions, single objects and dumps.
//!
//! The kernel works a netfilter request off inside `sendmsg`, so every answer already waits in
//! the socket's queue when `send` returns (`net/netfilter/nfnetlink.c`, `nfnetlink_rcv`). All
//! reading is therefore done without blocking: a missing answer is an error, never a hang.

mod answer;
mod attribute;
mod behind;
mod request;

use std::io;
use std::os::fd::AsFd as _;

use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBufForce;

use self::answer::{Answer, Part};
pub use self::attribute::{Attributes, Reader};
use self::behind::{Behind, behind};
pub use self::request::{Object, Refusal, Refused, Request};
use crate::{Error, Result, fault};

/// A received datagram is at most 32 KiB for a dump and a message for all else.
const RECEIVE: usize = 64 * 1024;
/// A datagram of that size can be sent with the send buffer that sockets commonly begin with
/// (`net.core.wmem_default`, 208 KiB).
const SEND: usize = 64 * 1024;
/// For the answers of one request, in bytes; the kernel grants up to `net.core.rmem_max`.
const QUEUE: i32 = 1 << 20;
/// How many objects are asked for in one message: the kernel takes 4 KiB of the queue for each
/// answer, and 208 KiB is what it grants everywhere.
const GETS: usize = 32;
/// How often a dump is begun again because the ruleset changed under it.
const DUMPS: usize = 8;

/// A socket to netfilter in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
    /// What is sure to fit into one datagram.
    largest: usize,
    /// Once something was deleted.
    behind: Option<Behind>,
}

impl Socket {
    /// Opens a socket with extended acknowledgements. EPROTONOSUPPORT when the kernel has no
    /// netfilter netlink at all.
    pub fn open() -> Result<Self> {
        let failed = |e| Error::new("open a socket to", "netfilter", e);
        fault::point("netfilter socket").map_err(failed)?;
        let mut inner = netlink_sys::Socket::new(NETLINK_NETFILTER).map_err(failed)?;
        inner.bind_auto().map_err(failed)?;
        inner.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        inner.set_ext_ack(true).map_err(failed)?;
        inner.set_cap_ack(true).map_err(failed)?;
        inner.set_rx_buf_sz(QUEUE).map_err(failed)?;
        Ok(Self { inner, sequence: 0, largest: SEND, behind: None })
    }

    /// Sends all of `batch` as one transaction: it takes effect as a whole or not at all. With
    /// `generation` it is refused with ERESTART when anything in the ruleset has changed since
    /// that generation was read (`NFNL_BATCH_GENID`). The equal of `nft -f`.
    pub fn transact(&mut self, batch: &[Request], generation: Option<u32>) -> Result<(), Refused> {
        let Some(last) = batch.len().checked_sub(1) else { return Ok(()) };
        let whole = |error: io::Error| Refused::whole(batch, &error);
        let first = self.sequence.wrapping_add(1);
        let mut bytes = request::begin(first, generation);
        for (index, request) in batch.iter().enumerate() {
            let ack = if index == last { libc::NLM_F_ACK } else { 0 };
            let sequence = first.wrapping_add(1).wrapping_add(index_u32(index));
            request.write(&mut bytes, ack, sequence).map_err(whole)?;
        }
        let end = first.wrapping_add(1).wrapping_add(index_u32(batch.len()));
        request::end(&mut bytes, end);
        self.sequence = end;
        self.send("netfilter transaction", &bytes).map_err(whole)?;

        let mut refused = Vec::new();
        let mut acknowledged = false;
        while let Some(datagram) = self.receive().map_err(whole)? {
            for part in answer::parts(&datagram) {
                let index = part.sequence.wrapping_sub(first);
                let Answer::Status { errno, ext_ack } = part.answer else { continue };
                if index > index_u32(batch.len()) {
                    continue; // the late answer to something earlier
                }
                // Sequence `first` is the frame's own: a refusal of the batch as a whole.
                let index = usize::try_from(index).ok().and_then(|i| i.checked_sub(1));
                if errno == 0 {
                    acknowledged |= index == Some(last);
                } else {
                    let ext_ack =
                        ext_ack.describe(index.and_then(|i| batch.get(i)).map(Request::attributes));
                    refused.push(Refusal { index, errno, ext_ack });
                }
            }
        }
        if !refused.is_empty() {
            Err(Refused::new(batch, refused))
        } else if acknowledged {
            if self.behind.is_none() && batch.iter().any(Request::deletes) {
                self.behind = behind(self.inner.as_fd());
            }
            Ok(())
        } else {
            Err(whole(io::Error::from_raw_os_error(libc::EBADMSG)))
        }
    }

    /// The object that `request` names, `None` when there is none (ENOENT).
    pub fn get(&mut self, request: Request) -> Result<Option<Object>> {
        Ok(self.get_all(&[request])?.pop().flatten())
    }

    /// The objects that `requests` name, asked for in one message and answered in their order.
    /// (Very many are asked for in several messages.)
    pub fn get_all(&mut self, requests: &[Request]) -> Result<Vec<Option<Object>>> {
        let mut objects = Vec::with_capacity(requests.len());
        for some in requests.chunks(GETS) {
            objects.extend(self.get_some(some)?);
        }
        Ok(objects)
    }

    fn get_some(&mut self, requests: &[Request]) -> Result<Vec<Option<Object>>> {
        let Some(named) = requests.first() else { return Ok(Vec::new()) };
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let sequence = first.wrapping_add(index_u32(index));
            request.write(&mut bytes, 0, sequence).map_err(|e| request.error(e))?;
        }
        self.sequence = self.sequence.wrapping_add(index_u32(requests.len()));
        self.send("netfilter get", &bytes).map_err(|e| named.error(e))?;

        let mut found: Vec<Option<Option<Object>>> = vec![None; requests.len()];
        while let Some(datagram) = self.receive().map_err(|e| named.error(e))? {
            for part in answer::parts(&datagram) {
                let index =
                    usize::try_from(part.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let (Some(slot), Some(request)) = (found.get_mut(index), requests.get(index))
                else {
                    continue;
                };
                match part.answer {
                    Answer::Object(object) => *slot = Some(Some(object)),
                    Answer::Status { errno: libc::ENOENT, .. } => *slot = Some(None),
                    Answer::Status { errno: 0, .. } | Answer::Done { .. } => {}
                    Answer::Status { errno, ext_ack } => {
                        let mut error = request.error(io::Error::from_raw_os_error(errno));
                        error.ext_ack = ext_ack.describe(Some(request.attributes()));
                        return Err(error);
                    }
                }
            }
        }
        let unanswered = || io::Error::from_raw_os_error(libc::EBADMSG);
        let answered = |(slot, request): (Option<_>, &Request)| {
            slot.ok_or_else(|| request.error(unanswered()))
        };
        found.into_iter().zip(requests).map(answered).collect()
    }

    /// Sends requests that are no part of a transaction, and tells of each what became of it. The
    /// outer error is that the kernel could not be asked.
    pub fn run_all(&mut self, requests: &[Request]) -> Result<Vec<Result<()>>> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for some in requests.chunks(GETS) {
            outcomes.extend(self.run_some(some)?);
        }
        Ok(outcomes)
    }

    fn run_some(&mut self, requests: &[Request]) -> Result<Vec<Result<()>>> {
        let Some(named) = requests.first() else { return Ok(Vec::new()) };
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let sequence = first.wrapping_add(index_u32(index));
            request.write(&mut bytes, libc::NLM_F_ACK, sequence).map_err(|e| request.error(e))?;
        }
        self.sequence = self.sequence.wrapping_add(index_u32(requests.len()));
        self.send("netfilter request", &bytes).map_err(|e| named.error(e))?;

        let mut outcomes: Vec<Option<Result<()>>> = requests.iter().map(|_| None).collect();
        while let Some(datagram) = self.receive().map_err(|e| named.error(e))? {
            for part in answer::parts(&datagram) {
                let index =
                    usize::try_from(part.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let (Some(slot), Some(request)) = (outcomes.get_mut(index), requests.get(index))
                else {
                    continue;
                };
                let Answer::Status { errno, ext_ack } = part.answer else { continue };
                *slot = Some(match errno {
                    0 => Ok(()),
                    errno => {
                        let mut error = request.error(io::Error::from_raw_os_error(errno));
                        error.ext_ack = ext_ack.describe(Some(request.attributes()));
                        Err(error)
                    }
                });
            }
        }
        let unanswered =
            |request: &Request| Err(request.error(io::Error::from_raw_os_error(libc::EBADMSG)));
        let told =
            |(slot, request): (Option<_>, &Request)| slot.unwrap_or_else(|| unanswered(request));
        Ok(outcomes.into_iter().zip(requests).map(told).collect())
    }

    /// All objects that `request` selects. A dump during which the ruleset changed
    /// (`NLM_F_DUMP_INTR`) may lack objects and is begun again; EAGAIN when that keeps happening.
    /// Nothing where the table or the set asked about does not exist.
    ///
    /// A dump that begins while a transaction is being committed may miss an object all the same:
    /// the kernel moves its sequence on first and the objects after (`nf_tables_commit`). So what
    /// is found is true, and what is not found may be there.
    pub fn dump(&mut self, request: &Request) -> Result<Vec<Object>> {
        for _ in 0..DUMPS {
            if let Some(objects) = self.dump_once(request)? {
                return Ok(objects);
            }
        }
        Err(request.error(io::Error::from_raw_os_error(libc::EAGAIN)))
    }

    /// A dump, or `None` when it was interrupted.
    fn dump_once(&mut self, request: &Request) -> Result<Option<Vec<Object>>> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let mut bytes = Vec::new();
        request
            .write(&mut bytes, libc::NLM_F_DUMP, sequence)
            .and_then(|()| self.send("netfilter dump", &bytes))
            .map_err(|e| request.error(e))?;

        let (mut objects, mut interrupted) = (Vec::new(), false);
        while let Some(datagram) = self.receive().map_err(|e| request.error(e))? {
            for Part { answer, interrupted: here, .. } in
                answer::parts(&datagram).filter(|part| part.sequence == sequence)
            {
                interrupted |= here;
                match answer {
                    Answer::Object(object) => objects.push(object),
                    Answer::Done { errno: 0 } => {
                        return Ok((!interrupted).then_some(objects));
                    }
                    Answer::Done { errno: libc::EINTR }
                    | Answer::Status { errno: libc::EINTR, .. } => return Ok(None),
                    Answer::Done { errno: libc::ENOENT }
                    | Answer::Status { errno: libc::ENOENT, .. } => return Ok(Some(Vec::new())),
                    Answer::Done { errno } => {
                        return Err(request.error(io::Error::from_raw_os_error(errno)));
                    }
                    Answer::Status { errno: 0, .. } => {}
                    Answer::Status { errno, ext_ack } => {
                        let mut error = request.error(io::Error::from_raw_os_error(errno));
                        error.ext_ack = ext_ack.describe(Some(request.attributes()));
                        return Err(error);
                    }
                }
            }
        }
        Err(request.error(io::Error::from_raw_os_error(libc::EBADMSG)))
    }

    fn send(&mut self, what: &str, bytes: &[u8]) -> io::Result<()> {
        fault::point(what)?;
        if bytes.len() > self.largest {
            setsockopt(&self.inner.as_fd(), SndBufForce, &bytes.len())?; // the kernel doubles it
            self.largest = bytes.len();
        }
        self.inner.send(bytes, 0).map(drop)
    }

    /// The next datagram that already waits.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut datagram = Vec::with_capacity(RECEIVE);
        match self.inner.recv(&mut datagram, libc::MSG_DONTWAIT | libc::MSG_TRUNC) {
            Ok(length) if length > datagram.len() => {
                Err(io::Error::from_raw_os_error(libc::EMSGSIZE))
            }
            Ok(_) => Ok(Some(datagram)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// An index as a sequence number; no message of 64 KiB attributes comes near four billion parts.
fn index_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
