//! Route netlink messages as bytes with a type. Each object's file encodes and decodes its own
//! kind, so that an executable holds the codecs of what it uses and not of all of route netlink.

use std::fmt;
use std::io;

use netlink_packet_core::{DecodeError, Emitable, Parseable};

use crate::Error;

/// The types in use (`RTM_*` of include/uapi/linux/rtnetlink.h).
pub mod kind {
    pub const NEW_LINK: u16 = 16;
    pub const DELETE_LINK: u16 = 17;
    pub const GET_LINK: u16 = 18;
    pub const SET_LINK: u16 = 19;
    pub const NEW_ADDRESS: u16 = 20;
    pub const DELETE_ADDRESS: u16 = 21;
    pub const GET_ADDRESS: u16 = 22;
    pub const NEW_ROUTE: u16 = 24;
    pub const DELETE_ROUTE: u16 = 25;
    pub const GET_ROUTE: u16 = 26;
    pub const NEW_NEIGHBOUR: u16 = 28;
    pub const DELETE_NEIGHBOUR: u16 = 29;
    pub const GET_NEIGHBOUR: u16 = 30;
    pub const NEW_RULE: u16 = 32;
    pub const DELETE_RULE: u16 = 33;
    pub const GET_RULE: u16 = 34;
    pub const NEW_QDISC: u16 = 36;
    pub const DELETE_QDISC: u16 = 37;
    pub const GET_QDISC: u16 = 38;
    pub const NEW_FILTER: u16 = 44;
    pub const DELETE_FILTER: u16 = 45;
    pub const GET_FILTER: u16 = 46;
    pub const NEW_CONFIGURATION: u16 = 80;
    pub const NEW_LINK_PROPERTY: u16 = 108;
    pub const DELETE_LINK_PROPERTY: u16 = 109;
}

/// Something asked of the kernel, and the words for it when it refuses.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) op: &'static str,
    pub(crate) on: String,
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) payload: Vec<u8>,
}

impl Request {
    /// A request with `flags` beside `NLM_F_REQUEST`.
    pub(crate) fn new(
        op: &'static str,
        on: impl fmt::Display,
        flags: u16,
        kind: u16,
        message: &impl Emitable,
    ) -> Self {
        let mut payload = vec![0; message.buffer_len()];
        message.emit(&mut payload);
        Self { op, on: on.to_string(), kind, flags, payload }
    }

    /// A request whose message is ready.
    pub(crate) fn of_bytes(
        op: &'static str,
        on: impl fmt::Display,
        flags: u16,
        kind: u16,
        payload: Vec<u8>,
    ) -> Self {
        Self { op, on: on.to_string(), kind, flags, payload }
    }

    /// True for those that are answered by an object. The kernel's types come in fours: new, delete,
    /// get, set.
    pub(crate) fn is_get(&self) -> bool {
        self.kind % 4 == 2
    }

    pub(crate) fn refused(&self, (source, ext_ack): Refusal) -> Error {
        Error { op: self.op.to_owned(), on: self.on.clone(), source, ext_ack }
    }
}

/// A message that is bytes already, for dumps.
pub struct Bytes(pub Vec<u8>);

impl Emitable for Bytes {
    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        if let Some(place) = buffer.get_mut(..self.0.len()) {
            place.copy_from_slice(&self.0);
        }
    }
}

/// The errno and the kernel's own words.
pub type Refusal = (io::Error, Option<String>);

/// An object that the kernel sent.
#[derive(Debug)]
pub struct Object {
    pub kind: u16,
    pub payload: Vec<u8>,
}

impl Object {
    /// The object as a message of this kind, `None` when it is of another or cannot be read.
    pub fn read<T: Parseable<[u8]>>(&self, kind: u16) -> Option<T> {
        let parsed: Result<T, DecodeError> = T::parse(self.payload.as_slice());
        parsed.ok().filter(|_| self.kind == kind)
    }
}
