//! A route netlink socket: one namespace, one conversation at a time.

use std::cell::RefCell;
use std::fmt;
use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::{Error, Result, extended_ack, fault};

/// Larger than any datagram the kernel sends on a route socket: a dump's chunk is at most 32 KiB,
/// a single link with many VFs grows past 16 KiB.
const RECEIVE_BUFFER: usize = 128 * 1024;

/// A dump that was interrupted by a change this often is given up.
const DUMP_TRIES: usize = 8;

/// Something asked of the kernel, and the words for it when it refuses.
#[derive(Debug)]
pub struct Request {
    op: &'static str,
    on: String,
    flags: u16,
    message: RouteNetlinkMessage,
}

impl Request {
    /// A request with `flags` beside `NLM_F_REQUEST | NLM_F_ACK`.
    pub(crate) fn new(
        op: &'static str,
        on: impl fmt::Display,
        flags: u16,
        message: RouteNetlinkMessage,
    ) -> Self {
        Self { op, on: on.to_string(), flags, message }
    }

    fn refused(&self, source: io::Error, ext_ack: Option<String>) -> Error {
        Error { op: self.op.to_owned(), on: self.on.clone(), source, ext_ack }
    }
}

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

type Objects = Vec<RouteNetlinkMessage>;
/// The errno and the kernel's words.
type Refusal = (io::Error, Option<String>);
/// What one request brought.
type Answer = Result<Objects, Refusal>;

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
    pub(crate) fn get(&self, request: Request) -> Result<Vec<RouteNetlinkMessage>> {
        self.answers(vec![request]).pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Runs requests that do not depend on each other's answers, in order, as one datagram. The
    /// kernel goes on after one that fails; every result is given, in the same order.
    pub fn run_all(&self, requests: Vec<Request>) -> Vec<Result<()>> {
        self.answers(requests).into_iter().map(|answer| answer.map(drop)).collect()
    }

    fn answers(&self, mut requests: Vec<Request>) -> Vec<Result<Vec<RouteNetlinkMessage>>> {
        if requests.is_empty() {
            return Vec::new();
        }
        if fault::armed() {
            // A fault must strike between two requests, so they cannot share a datagram.
            return requests
                .drain(..)
                .map(|request| match fault::point(request.op) {
                    Ok(()) => {
                        self.answers_of(vec![request]).pop().unwrap_or_else(|| Ok(Vec::new()))
                    }
                    Err(e) => Err(request.refused(e, None)),
                })
                .collect();
        }
        self.answers_of(requests)
    }

    fn answers_of(&self, requests: Vec<Request>) -> Vec<Result<Vec<RouteNetlinkMessage>>> {
        let words: Vec<_> = requests.iter().map(|r| (r.op, r.on.clone())).collect();
        let outcome = self.0.borrow_mut().exchange(requests);
        match outcome {
            Ok(answers) => answers
                .into_iter()
                .zip(words)
                .map(|(answer, (op, on))| {
                    answer.map_err(|(source, ext_ack)| Error {
                        op: op.to_owned(),
                        on,
                        source,
                        ext_ack,
                    })
                })
                .collect(),
            Err(e) => words
                .into_iter()
                .map(|(op, on)| {
                    let source = e.raw_os_error().map_or_else(
                        || io::Error::new(e.kind(), e.to_string()),
                        io::Error::from_raw_os_error,
                    );
                    Err(Error { op: op.to_owned(), on, source, ext_ack: None })
                })
                .collect(),
        }
    }

    /// Lists all objects that match a request, and asks again when the list changed under the
    /// kernel's hands (`NLM_F_DUMP_INTR`). Not for the ADD path.
    pub(crate) fn dump(
        &self,
        op: &'static str,
        on: impl fmt::Display,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        let request = Request::new(op, on, NLM_F_DUMP, message);
        for _ in 0..DUMP_TRIES {
            fault::point(op).map_err(|e| request.refused(e, None))?;
            match self.0.borrow_mut().list(request.message.clone()) {
                Ok(Some(objects)) => return Ok(objects),
                Ok(None) => {}
                Err((source, ext_ack)) => return Err(request.refused(source, ext_ack)),
            }
        }
        let source = io::Error::from_raw_os_error(libc::EINTR);
        Err(request.refused(source, Some("the list changed while it was read".to_owned())))
    }
}

impl Conversation {
    fn exchange(&mut self, requests: Vec<Request>) -> io::Result<Vec<Answer>> {
        let first = self.sequence.wrapping_add(1);
        let count = requests.len();
        let mut datagram = Vec::new();
        for request in requests {
            let flags = NLM_F_REQUEST | NLM_F_ACK | request.flags;
            self.append(&mut datagram, request.message, flags);
        }
        self.socket.send(&datagram, 0)?;

        let mut answers: Vec<Answer> = (0..count).map(|_| Ok(Vec::new())).collect();
        let mut open = count;
        while open > 0 {
            for message in self.receive()? {
                let sequence = message.header.sequence_number;
                let index = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                // Answers to a request that was given up earlier may still arrive.
                let Some(answer) = answers.get_mut(index) else { continue };
                match message.payload {
                    NetlinkPayload::Error(ack) => {
                        open -= 1;
                        if ack.code.is_some() {
                            *answer = Err((ack.to_io(), extended_ack::text(&ack.header)));
                        }
                    }
                    NetlinkPayload::InnerMessage(inner) => {
                        if let Ok(objects) = answer {
                            objects.push(inner);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(answers)
    }

    /// One dump: `None` when it was interrupted.
    fn list(&mut self, message: RouteNetlinkMessage) -> Result<Option<Objects>, Refusal> {
        let plain = |e: io::Error| (e, None);
        let mut datagram = Vec::new();
        self.append(&mut datagram, message, NLM_F_REQUEST | NLM_F_DUMP);
        self.socket.send(&datagram, 0).map_err(plain)?;
        let mut objects = Vec::new();
        let mut interrupted = false;
        loop {
            for message in self.receive().map_err(plain)? {
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => objects.push(inner),
                    NetlinkPayload::Error(e) if e.code.is_some() => {
                        return Err((e.to_io(), extended_ack::text(&e.header)));
                    }
                    NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => {
                        return Ok((!interrupted).then_some(objects));
                    }
                    _ => {}
                }
            }
        }
    }

    fn append(&mut self, datagram: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let begin = datagram.len();
        datagram.resize(begin + message.buffer_len().next_multiple_of(4), 0);
        if let Some(space) = datagram.get_mut(begin..begin + message.buffer_len()) {
            message.serialize(space);
        }
    }

    fn receive(&mut self) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
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
            let invalid = |e| io::Error::new(io::ErrorKind::InvalidData, format!("{e}"));
            let length = NetlinkBuffer::new_checked(rest).map_err(invalid)?.length() as usize;
            let bytes = rest.get(..length).unwrap_or_default();
            messages.push(NetlinkMessage::deserialize(bytes).map_err(invalid)?);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}
