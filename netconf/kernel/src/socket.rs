//! A route netlink socket: one namespace, one conversation at a time.

use std::cell::RefCell;
use std::fmt;
use std::io;

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
};
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::message::{Object, Refusal, Request};
use crate::{Error, Result, extended_ack, fault};

/// Larger than any datagram the kernel sends on a route socket: a dump's chunk is at most 32 KiB,
/// a single link with many VFs grows past 16 KiB.
const RECEIVE_BUFFER: usize = 128 * 1024;
/// The bytes of memory that the answers to one datagram may take: less than half of the receive
/// buffer that the kernel gives (`net.core.rmem_default`). What comes when it is full is lost
/// (ENOBUFS).
const ROOM: usize = 96 * 1024;
/// What the kernel books for a refusal, beside the request that it may quote: a packet's overhead,
/// its words.
const REFUSAL: usize = 1024;
/// What it books for an object: the largest are links, of some kilobytes.
const GET_ANSWER: usize = 8 * 1024;
/// A dump that was interrupted by a change this often is given up.
const DUMP_TRIES: usize = 8;
/// `nlmsghdr`.
const HEADER: usize = 16;
/// `NLMSG_ERROR`: an acknowledgement or a refusal.
const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 3;
/// Where the kernel's own types begin (`NLMSG_MIN_TYPE`).
const FIRST_OBJECT: u16 = 16;

/// A route netlink socket. It stays in the namespace of the thread that opened it, wherever it is
/// used later.
#[derive(Debug)]
pub struct Socket(RefCell<Conversation>);

#[derive(Debug)]
struct Conversation {
    socket: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What one request brought.
type Answer = Result<Vec<Object>, Refusal>;

impl Socket {
    /// Opens a socket in the calling thread's namespace, with extended acks and strict checking
    /// of requests: an attribute that the kernel does not know is refused instead of ignored.
    pub fn open() -> Result<Self> {
        let fail = |e| Error::new("open", "a route netlink socket", e);
        fault::point("open a route netlink socket").map_err(fail)?;
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE).map_err(fail)?;
        socket.bind_auto().map_err(fail)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(fail)?;
        // Kernels before 4.20 lack some of these; requests still work there.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_netlink_get_strict_chk(true);
        let buffer = Vec::with_capacity(RECEIVE_BUFFER);
        Ok(Self(RefCell::new(Conversation { socket, sequence: 0, buffer })))
    }

    /// Runs one request.
    pub fn run(&self, request: Request) -> Result<()> {
        self.get(request).map(drop)
    }

    /// Runs one request and gives what it was answered.
    pub(crate) fn get(&self, request: Request) -> Result<Vec<Object>> {
        self.answers(&[request]).pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Runs requests that do not depend on each other's answers, in order, as one datagram where
    /// they are few (some ninety) and as several where they are thousands. The kernel goes on after
    /// one that fails; every result is given, in the same order.
    pub fn run_all(&self, requests: &[Request]) -> Vec<Result<()>> {
        self.answers(requests).into_iter().map(|answer| answer.map(drop)).collect()
    }

    /// The same, with what each was answered.
    pub(crate) fn answers(&self, requests: &[Request]) -> Vec<Result<Vec<Object>>> {
        if fault::armed() {
            // A fault must strike between two requests, so they cannot share a datagram.
            return requests
                .iter()
                .flat_map(|request| match fault::point(request.op) {
                    Ok(()) => self.exchange(std::slice::from_ref(request)),
                    Err(e) => vec![Err(request.refused((e, None)))],
                })
                .collect();
        }
        self.exchange(requests)
    }

    fn exchange(&self, requests: &[Request]) -> Vec<Result<Vec<Object>>> {
        let answers = self.0.borrow_mut().exchange(requests);
        std::iter::zip(requests, answers)
            .map(|(request, answer)| answer.map_err(|refusal| request.refused(refusal)))
            .collect()
    }

    /// Lists all objects that match a request, and asks again when the list changed under the
    /// kernel's hands (`NLM_F_DUMP_INTR`). Not for the ADD path.
    pub(crate) fn dump(
        &self,
        op: &'static str,
        on: impl fmt::Display,
        kind: u16,
        message: &impl Emitable,
    ) -> Result<Vec<Object>> {
        let request = Request::new(op, on, NLM_F_DUMP, kind, message);
        for _ in 0..DUMP_TRIES {
            fault::point(op).map_err(|e| request.refused((e, None)))?;
            let outcome = self.0.borrow_mut().list(&request);
            if let Some(objects) = outcome.map_err(|refusal| request.refused(refusal))? {
                return Ok(objects);
            }
        }
        let source = io::Error::from_raw_os_error(libc::EINTR);
        Err(request.refused((source, Some("the list changed while it was read".to_owned()))))
    }
}

/// How many requests of these share a datagram: at least one, and no more than the receive buffer
/// holds answers to, were all of them refused.
fn batch(requests: &[Request]) -> usize {
    let mut room = ROOM;
    let fits = |request: &&Request| {
        let answer = if request.is_get() { GET_ANSWER } else { REFUSAL };
        let left = room.checked_sub(answer + request.payload.len());
        room = left.unwrap_or_default();
        left.is_some()
    };
    requests.iter().take_while(fits).count().max(1).min(requests.len())
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

impl Conversation {
    /// One answer per request. What a failure of the socket itself leaves unknown is answered by
    /// that failure.
    fn exchange(&mut self, requests: &[Request]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch(rest));
            match self.exchange_batch(batch) {
                Ok(some) => answers.extend(some),
                Err(e) => {
                    answers.extend(rest.iter().map(|_| Err((again(&e), None))));
                    break;
                }
            }
            rest = later;
        }
        answers
    }

    /// One datagram. The kernel works it off from front to back, refuses unasked and answers a get
    /// before it acknowledges it (net/netlink/af_netlink.c, `netlink_rcv_skb`): when the last
    /// request is acknowledged or refused, all is told.
    fn exchange_batch(&mut self, requests: &[Request]) -> io::Result<Vec<Answer>> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for (n, request) in requests.iter().enumerate() {
            let flags = if n + 1 == requests.len() { NLM_F_ACK } else { 0 };
            self.append(&mut datagram, request, flags);
        }
        self.socket.send(&datagram, 0)?;

        let mut answers: Vec<Answer> = requests.iter().map(|_| Ok(Vec::new())).collect();
        let mut open = true;
        while open {
            for message in self.receive()? {
                let distance = message.sequence.wrapping_sub(first);
                let index = usize::try_from(distance).unwrap_or(usize::MAX);
                // Answers to a request that was given up earlier may still arrive.
                let Some(answer) = answers.get_mut(index) else { continue };
                match message.object.kind {
                    ERROR => {
                        open &= message.sequence != self.sequence;
                        if let Err(refusal) = message.verdict() {
                            *answer = Err(refusal);
                        }
                    }
                    FIRST_OBJECT.. => {
                        if let Ok(objects) = answer {
                            objects.push(message.object);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(answers)
    }

    /// One dump: `None` when it was interrupted.
    fn list(&mut self, request: &Request) -> Result<Option<Vec<Object>>, Refusal> {
        let plain = |e: io::Error| (e, None);
        let mut datagram = Vec::new();
        self.append(&mut datagram, request, 0);
        self.socket.send(&datagram, 0).map_err(plain)?;
        let mut objects = Vec::new();
        let mut interrupted = false;
        loop {
            for message in self.receive().map_err(plain)? {
                if message.sequence != self.sequence {
                    continue;
                }
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.object.kind {
                    // The end carries an errno of its own, as a refusal does.
                    ERROR | DONE => {
                        message.verdict()?;
                        return Ok((!interrupted).then_some(objects));
                    }
                    FIRST_OBJECT.. => objects.push(message.object),
                    _ => {}
                }
            }
        }
    }

    fn append(&mut self, datagram: &mut Vec<u8>, request: &Request, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(HEADER + request.payload.len()).unwrap_or(u32::MAX);
        header.message_type = request.kind;
        header.flags = NLM_F_REQUEST | flags | request.flags;
        header.sequence_number = self.sequence;
        let begin = datagram.len();
        datagram.resize(begin + HEADER, 0);
        header.emit(datagram.get_mut(begin..).unwrap_or_default());
        datagram.extend_from_slice(&request.payload);
        datagram.resize(datagram.len().next_multiple_of(4), 0);
    }

    fn receive(&mut self) -> io::Result<Vec<Message>> {
        self.buffer.clear();
        let length = loop {
            // MSG_TRUNC makes the kernel tell the datagram's true length.
            match self.socket.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if length > self.buffer.len() {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let mut messages = Vec::new();
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            messages.push(Message {
                sequence: message.sequence_number(),
                flags: message.flags(),
                object: Object {
                    kind: message.message_type(),
                    payload: message.payload().to_vec(),
                },
            });
            let length = message.length() as usize;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}

/// A message as it came.
struct Message {
    sequence: u32,
    flags: u16,
    object: Object,
}

impl Message {
    /// What an acknowledgement or the end of a dump says: they begin with a negative errno, or 0.
    fn verdict(&self) -> Result<(), Refusal> {
        let (code, echo) = self.object.payload.split_at_checked(4).unwrap_or_default();
        match i32::from_ne_bytes(code.try_into().unwrap_or_default()) {
            0 => Ok(()),
            code => {
                Err((io::Error::from_raw_os_error(code.saturating_neg()), extended_ack::text(echo)))
            }
        }
    }
}
