//! Messages of D-Bus: calls with texts as arguments, and what is of interest in answers
//! (D-Bus specification, "Message Protocol").

/// Types of messages.
const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
/// The called name is not started for the call.
const NO_AUTO_START: u8 = 2;

/// Header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The part of a message that tells how long it is.
pub(super) const FIXED: usize = 16;

/// A call of a method.
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) arguments: &'a [&'a str],
}

impl Call<'_> {
    /// The message, little endian.
    pub(super) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        for argument in self.arguments {
            push_text(&mut body, argument);
        }
        let mut fields = Vec::new();
        for (code, kind, value) in [
            (PATH, b'o', self.path),
            (INTERFACE, b's', self.interface),
            (MEMBER, b's', self.member),
            (DESTINATION, b's', self.destination),
        ] {
            pad(&mut fields, 8);
            fields.extend([code, 1, kind, 0]);
            push_text(&mut fields, value);
        }
        if !self.arguments.is_empty() {
            pad(&mut fields, 8);
            fields.extend([SIGNATURE, 1, b'g', 0, length(self.arguments.len()).to_le_bytes()[0]]);
            fields.extend(self.arguments.iter().map(|_| b's'));
            fields.push(0);
        }
        let mut message = vec![b'l', METHOD_CALL, NO_AUTO_START, 1];
        for number in [length(body.len()), serial, length(fields.len())] {
            message.extend(number.to_le_bytes());
        }
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        message
    }
}

/// A message that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Which call it answers.
    pub(super) serial: u32,
    pub(super) content: Content,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// One boolean.
    Boolean(bool),
    /// Anything else.
    Other,
    /// An error: its name, its text.
    Error(String, String),
}

/// How long the whole message is whose beginning this is.
pub(super) fn whole(fixed: &[u8; FIXED]) -> Option<usize> {
    let reader = Reader { bytes: fixed, big: fixed.first() == Some(&b'B') };
    let (body, fields) = (reader.number(4)?, reader.number(12)?);
    FIXED.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)
}

/// Reads an answer; `None` for a message that is none, such as a signal.
pub(super) fn decode(message: &[u8]) -> Option<Reply> {
    let reader = Reader { bytes: message, big: message.first() == Some(&b'B') };
    let kind = *message.get(1)?;
    if kind != METHOD_RETURN && kind != ERROR {
        return None;
    }
    let end = FIXED.checked_add(reader.number(12)?)?;
    let (mut serial, mut name, mut signature) = (None, String::new(), "");
    let mut at = FIXED;
    while at < end {
        let code = *message.get(at)?;
        let kind = *message.get(at.checked_add(2)?)?;
        at = at.checked_add(4)?;
        match kind {
            b'u' => {
                let number = reader.number(at)?;
                if code == REPLY_SERIAL {
                    serial = u32::try_from(number).ok();
                }
                at = at.checked_add(4)?;
            }
            b's' | b'o' => {
                let text = reader.text(at)?;
                if code == ERROR_NAME {
                    text.clone_into(&mut name);
                }
                at = at.checked_add(5)?.checked_add(text.len())?;
            }
            b'g' => {
                let length = usize::from(*message.get(at)?);
                let text = message.get(at.checked_add(1)?..)?.get(..length)?;
                if code == SIGNATURE {
                    signature = std::str::from_utf8(text).ok()?;
                }
                at = at.checked_add(2)?.checked_add(length)?;
            }
            _ => return None,
        }
        at = at.checked_next_multiple_of(8)?;
    }
    let body = end.checked_next_multiple_of(8)?;
    let content = match (kind, signature) {
        (ERROR, text) => {
            let text = if text.starts_with('s') { reader.text(body)? } else { "" };
            Content::Error(name, text.to_owned())
        }
        (_, "b") => Content::Boolean(reader.number(body)? != 0),
        _ => Content::Other,
    };
    Some(Reply { serial: serial?, content })
}

struct Reader<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Reader<'a> {
    fn number(&self, at: usize) -> Option<usize> {
        let bytes = *self.bytes.get(at..)?.first_chunk::<4>()?;
        let number = if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(number).ok()
    }

    fn text(&self, at: usize) -> Option<&'a str> {
        let length = self.number(at)?;
        let text = self.bytes.get(at.checked_add(4)?..)?.get(..length)?;
        std::str::from_utf8(text).ok()
    }
}

fn push_text(into: &mut Vec<u8>, text: &str) {
    pad(into, 4);
    into.extend(length(text.len()).to_le_bytes());
    into.extend(text.as_bytes());
    into.push(0);
}

fn pad(into: &mut Vec<u8>, to: usize) {
    into.resize(into.len().next_multiple_of(to), 0);
}

/// What we send is far below the limit of 128 MiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u8, fields: &[u8], body: &[u8]) -> Vec<u8> {
        let mut message = vec![b'l', kind, 1, 1];
        for number in [body.len(), 7, fields.len()] {
            message.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        message.extend(fields);
        pad(&mut message, 8);
        message.extend(body);
        message
    }

    const SERIAL: [u8; 8] = [REPLY_SERIAL, 1, b'u', 0, 3, 0, 0, 0];

    #[test]
    fn a_boolean_and_an_error_are_read() {
        let fields = [&SERIAL[..], &[SIGNATURE, 1, b'g', 0, 1, b'b', 0]].concat();
        let message = answer(METHOD_RETURN, &fields, &[1, 0, 0, 0]);
        let fixed = message.first_chunk().unwrap();
        assert_eq!(whole(fixed), Some(message.len()));
        let reply = Reply { serial: 3, content: Content::Boolean(true) };
        assert_eq!(decode(&message), Some(reply));

        let name = [&[ERROR_NAME, 1, b's', 0, 3, 0, 0, 0][..], b"a.b\0", &[0; 4]].concat();
        let fields = [&SERIAL[..], &name, &[SIGNATURE, 1, b'g', 0, 1, b's', 0]].concat();
        let message = answer(ERROR, &fields, b"\x02\0\0\0no\0");
        let content = Content::Error("a.b".into(), "no".into());
        assert_eq!(decode(&message), Some(Reply { serial: 3, content }));
    }

    #[test]
    fn signals_and_torn_messages_are_no_answers() {
        assert_eq!(decode(&answer(4, &SERIAL, &[])), None);
        let fields = [&SERIAL[..], &[SIGNATURE, 1, b'g', 0, 1, b'b', 0]].concat();
        let message = answer(METHOD_RETURN, &fields, &[1, 0, 0, 0]);
        for end in 0..message.len() {
            assert_eq!(decode(&message[..end]), None, "{end}");
        }
        for at in 0..message.len() {
            let mut wrong = message.clone();
            wrong[at] = 0xff;
            let _ = decode(&wrong); // without a panic
        }
    }
}
