//! What netfilter sends back: objects, acknowledgements and the end of a dump.

use super::attribute::{Attributes, Reader};
use super::request::Object;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_DUMP_INTR`: what is dumped changed while it was.
const DUMP_INTERRUPTED: u16 = 0x10;
/// `NLM_F_CAPPED`: the refused message is quoted with its header alone.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: the extended acknowledgement follows.
const EXTENDED: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG` and `NLMSGERR_ATTR_OFFS`.
const TEXT: u16 = 1;
const OFFSET: u16 = 2;

/// One message of a datagram.
pub(super) struct Part {
    pub(super) sequence: u32,
    pub(super) interrupted: bool,
    pub(super) answer: Answer,
}

pub(super) enum Answer {
    Object(Object),
    /// An acknowledgement (0) or a refusal.
    Status {
        errno: i32,
        ext_ack: ExtAck,
    },
    /// The end of a dump.
    Done {
        errno: i32,
    },
}

/// The extended acknowledgement.
#[derive(Default)]
pub(super) struct ExtAck {
    text: Option<String>,
    /// Where in the message the attribute stands that was found at fault.
    offset: Option<usize>,
}

impl ExtAck {
    /// In words. nf_tables mostly only points at an attribute, so its number is told.
    pub(super) fn describe(self, sent: Option<&Attributes>) -> Option<String> {
        let pointed = || {
            let at = self.offset?.checked_sub(20)?;
            let bytes = sent?.bytes()?.get(at..)?;
            let (kind, value) = Reader::new(bytes).next()?;
            let text = value.strip_suffix(&[0]).and_then(|v| std::str::from_utf8(v).ok());
            let printable = text.filter(|t| !t.is_empty() && t.chars().all(|c| !c.is_control()));
            Some(match printable {
                Some(text) => format!("attribute {kind}, {text:?}, is at fault"),
                None => format!("attribute {kind} is at fault"),
            })
        };
        self.text.clone().or_else(pointed)
    }
}

/// The messages of a datagram; what is malformed ends them.
pub(super) fn parts(mut datagram: &[u8]) -> impl Iterator<Item = Part> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let message = datagram.get(..length)?;
        let payload = message.get(16..)?;
        let (kind, flags) = (u16_at(message, 4)?, u16_at(message, 6)?);
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        let answer = match kind {
            NLMSG_ERROR => Answer::Status {
                errno: errno(payload)?,
                ext_ack: if flags & EXTENDED == 0 {
                    ExtAck::default()
                } else {
                    ext_ack(payload, flags & CAPPED != 0).unwrap_or_default()
                },
            },
            NLMSG_DONE => Answer::Done { errno: errno(payload).unwrap_or(0) },
            _ => Answer::Object(Object {
                family: *payload.first()?,
                attributes: payload.get(4..)?.to_vec(),
            }),
        };
        let interrupted = flags & DUMP_INTERRUPTED != 0;
        Some(Part { sequence: u32_at(message, 8)?, interrupted, answer })
    })
}

/// The kernel tells an errno as a negative number.
fn errno(payload: &[u8]) -> Option<i32> {
    payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes).saturating_neg())
}

/// Behind the errno stands the refused message's header, and its rest unless that is capped.
fn ext_ack(payload: &[u8], capped: bool) -> Option<ExtAck> {
    let quoted = if capped { 16 } else { usize::try_from(u32_at(payload, 4)?).ok()? };
    let attributes = Reader::new(payload.get(4 + quoted.next_multiple_of(4)..)?);
    let offset = attributes.find(OFFSET).and_then(|v| v.try_into().ok()).map(u32::from_ne_bytes);
    Some(ExtAck {
        text: attributes.text(TEXT).map(str::to_owned),
        offset: offset.and_then(|o| usize::try_from(o).ok()),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}
