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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn an_interrupted_dump_is_noticed_at_any_of_its_messages() {
        let object = [2, 0, 0, 0];
        for (first, done) in [(DUMP_INTERRUPTED, 0), (0, DUMP_INTERRUPTED)] {
            let datagram =
                [message(0xa00, first, 7, &object), message(NLMSG_DONE, done, 7, &[0; 4])].concat();
            let parts: Vec<_> = parts(&datagram).collect();
            assert_eq!(parts.len(), 2);
            assert_eq!(parts[0].interrupted, first != 0);
            assert_eq!(parts[1].interrupted, done != 0);
            assert!(matches!(parts[1].answer, Answer::Done { errno: 0 }));
        }
    }

    #[test]
    fn the_kernels_words_are_found_behind_a_capped_and_a_whole_quotation() {
        let quoted = message(0xa00, 0, 7, &[9; 8]);
        for (quotation, flags) in [(&quoted[..16], CAPPED | EXTENDED), (&quoted[..], EXTENDED)] {
            let words = [&[10, 0, 1, 0][..], b"sorry\0", &[0, 0]].concat();
            let errno = (-22_i32).to_ne_bytes();
            let payload = [&errno[..], quotation, &words].concat();
            let datagram = message(NLMSG_ERROR, flags, 7, &payload);
            let Answer::Status { errno, ext_ack } = parts(&datagram).next().unwrap().answer else {
                panic!("not a status");
            };
            assert_eq!((errno, ext_ack.describe(None).as_deref()), (22, Some("sorry")));
        }
    }

    #[test]
    fn malformed_datagrams_end_without_a_panic() {
        let whole = message(NLMSG_ERROR, EXTENDED, 7, &[1; 30]);
        for end in 0..whole.len() {
            assert!(parts(&whole[..end]).count() == 0, "{end}");
        }
        for length in [0_u8, 3, 15, 16, 19] {
            let mut short = whole.clone();
            short[0] = length;
            assert!(parts(&short).count() <= 2, "{length}");
        }
    }
}
