//! What is sent to netfilter, and how it was refused.

use std::fmt;
use std::io;

use super::attribute::{Attributes, Reader};
use crate::Error;

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` (`linux/netfilter/nfnetlink.h`).
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// `NFNL_BATCH_GENID`
const BATCH_GENERATION: u16 = 1;
/// `NFNL_SUBSYS_NFTABLES`, to which all batches go.
const NFTABLES: u16 = 10;
/// `NFT_MSG_DELTABLE`, `DELCHAIN`, `DELRULE`, `DELSET`, `DELSETELEM`, `DELOBJ` and `DELFLOWTABLE`
/// (`linux/netfilter/nf_tables.h`).
const DELETIONS: [u16; 7] = [2, 5, 8, 11, 14, 20, 24];

/// One message to netfilter, and its description for the errors that speak of it.
#[derive(Clone, Debug)]
pub struct Request {
    op: &'static str,
    on: String,
    kind: u16,
    flags: u16,
    family: u8,
    version: u8,
    attributes: Attributes,
}

impl Request {
    /// A message of a subsystem (`NFNL_SUBSYS_*`) and number in it, with `NLM_F_*` flags (REQUEST
    /// is added), to a protocol family (`NFPROTO_*`). `op` and `on` tell what it tries and on
    /// what: "add the map element", "10.1.0.2".
    pub fn new(
        (op, on): (&'static str, impl Into<String>),
        (subsystem, message): (u8, u8),
        flags: i32,
        family: u8,
        attributes: Attributes,
    ) -> Self {
        Self {
            op,
            on: on.into(),
            kind: u16::from(subsystem) << 8 | u16::from(message),
            flags: flag_bits(flags),
            family,
            version: 0,
            attributes,
        }
    }

    /// With another version of the subsystem's messages than 0.
    #[must_use]
    pub fn version(self, version: u8) -> Self {
        Self { version, ..self }
    }

    /// An error that speaks of this request.
    pub fn error(&self, source: io::Error) -> Error {
        Error::new(self.op, &self.on, source)
    }

    pub(super) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether it deletes something from the ruleset, which the kernel frees some time later.
    pub(super) fn deletes(&self) -> bool {
        self.kind >> 8 == NFTABLES && DELETIONS.contains(&(self.kind & 0xff))
    }

    pub(super) fn write(&self, into: &mut Vec<u8>, flags: i32, sequence: u32) -> io::Result<()> {
        let too_long = || io::Error::from_raw_os_error(libc::EMSGSIZE);
        let bytes = self.attributes.bytes().ok_or_else(too_long)?;
        let flags = self.flags | flag_bits(flags);
        write(into, self.kind, flags, sequence, (self.family, self.version, 0), bytes);
        Ok(())
    }
}

/// The message that opens a transaction.
pub(super) fn begin(sequence: u32, generation: Option<u32>) -> Vec<u8> {
    let mut into = Vec::with_capacity(1024);
    let attributes = match generation {
        Some(generation) => Attributes::new().with_u32(BATCH_GENERATION, generation),
        None => Attributes::new(),
    };
    let bytes = attributes.bytes().unwrap_or_default();
    write(&mut into, BATCH_BEGIN, 0, sequence, (0, 0, NFTABLES), bytes);
    into
}

/// The message that ends it.
pub(super) fn end(into: &mut Vec<u8>, sequence: u32) {
    write(into, BATCH_END, 0, sequence, (0, 0, NFTABLES), &[]);
}

/// `struct nlmsghdr`, then `struct nfgenmsg`, then the attributes.
fn write(
    into: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    (family, version, resource): (u8, u8, u16),
    attributes: &[u8],
) {
    let length = u32::try_from(20 + attributes.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_ne_bytes());
    into.extend_from_slice(&kind.to_ne_bytes());
    into.extend_from_slice(&(flags | flag_bits(libc::NLM_F_REQUEST)).to_ne_bytes());
    into.extend_from_slice(&sequence.to_ne_bytes());
    into.extend_from_slice(&[0; 4]); // the kernel knows the sender
    into.extend_from_slice(&[family, version]);
    into.extend_from_slice(&resource.to_be_bytes());
    into.extend_from_slice(attributes);
}

/// libc has the flags as `int`; the header has 16 bits for them.
fn flag_bits(flags: i32) -> u16 {
    u16::try_from(flags).unwrap_or_default()
}

/// What the kernel answered about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its protocol family (`NFPROTO_*`).
    pub family: u8,
    pub(super) attributes: Vec<u8>,
}

impl Object {
    /// Its attributes.
    pub fn attributes(&self) -> Reader<'_> {
        Reader::new(&self.attributes)
    }
}

/// One message of a transaction that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which one, from 0; `None` when the transaction as a whole was.
    pub index: Option<usize>,
    /// Why.
    pub errno: i32,
    /// The kernel's own words, or what it points at.
    pub ext_ack: Option<String>,
}

/// A transaction that was refused: nothing of it took effect.
#[derive(Debug)]
pub struct Refused {
    /// Each message that the kernel found fault with.
    pub refusals: Vec<Refusal>,
    error: Error,
}

impl Refused {
    pub(super) fn new(batch: &[Request], refusals: Vec<Refusal>) -> Self {
        // Later refusals are often only consequences of the first.
        let first = refusals.first();
        let errno = io::Error::from_raw_os_error(first.map_or(libc::EBADMSG, |r| r.errno));
        let mut error = first.and_then(|r| batch.get(r.index?)).or(batch.first()).map_or_else(
            || Error::new("change", "nf_tables", from(&errno)),
            |r| r.error(from(&errno)),
        );
        error.ext_ack = first.and_then(|r| r.ext_ack.clone());
        for further in refusals.iter().skip(1) {
            let Some(request) = further.index.and_then(|i| batch.get(i)) else { continue };
            let mut text = request.error(io::Error::from_raw_os_error(further.errno));
            text.ext_ack.clone_from(&further.ext_ack);
            let all = error.ext_ack.take().map_or_else(String::new, |t| t + "; ");
            error.ext_ack = Some(format!("{all}also: {text}"));
        }
        Self { refusals, error }
    }

    /// A transaction that did not get as far as being looked at.
    pub(super) fn whole(batch: &[Request], source: &io::Error) -> Self {
        let errno = source.raw_os_error().unwrap_or(libc::EIO);
        let error = batch.first().map_or_else(
            || Error::new("change", "nf_tables", from(source)),
            |r| r.error(from(source)),
        );
        Self { refusals: vec![Refusal { index: None, errno, ext_ack: None }], error }
    }

    /// True when some message was refused for this reason.
    pub fn has(&self, errno: i32) -> bool {
        self.refusals.iter().any(|r| r.errno == errno)
    }
}

fn from(source: &io::Error) -> io::Error {
    io::Error::from_raw_os_error(source.raw_os_error().unwrap_or(libc::EIO))
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused {}
