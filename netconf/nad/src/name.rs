//! The names of Kubernetes' objects.

use cni::{Code, Error, Json};

/// Refuses what is no label of RFC 1123: lower-case letters, digits and `-`, at both ends a letter or
/// digit, at most 63. Code 7.
pub(crate) fn label(key: &str, text: &str) -> Result<(), Error> {
    if is_label(text) {
        return Ok(());
    }
    let why = if text.is_empty() {
        return Err(Error::new(Code::CONFIG, format!("{key} is empty")).details(FORM));
    } else if text.len() > 63 {
        "has more than 63 characters"
    } else {
        "is not the name of an object"
    };
    Err(Error::config(key, Json::from(text), why).details(FORM))
}

/// The same for labels joined by dots, which Kubernetes allows and the short form of a selection does
/// not.
pub(crate) fn labels(key: &str, text: &str) -> Result<(), Error> {
    if text.contains('.') && text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(());
    }
    label(key, text)
}

const FORM: &str =
    "a name has lower-case letters, digits and '-', and begins and ends with a letter or digit";

pub(crate) fn is_label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The value of an object's `key` in exactly this spelling, as Kubernetes reads its objects; `null` is
/// nothing.
pub(crate) fn exact<'a>(json: &'a Json, key: &str) -> Option<&'a Json> {
    let Json::Object(members) = json else { return None };
    let (_, value) = members.iter().rev().find(|(name, _)| name == key)?;
    (*value != Json::Null).then_some(value)
}

/// The text at a path of keys; nothing is the empty one. Code 6 for a value that is no text.
pub(crate) fn text<'a>(json: &'a Json, path: &[&str]) -> Result<&'a str, Error> {
    let mut at = json;
    for (depth, key) in path.iter().enumerate() {
        if !matches!(at, Json::Object(_)) {
            let key = path.get(..depth).unwrap_or_default().join(".");
            return Err(not(&key, "an object", at));
        }
        let Some(value) = exact(at, key) else { return Ok("") };
        at = value;
    }
    at.as_str().ok_or_else(|| not(&path.join("."), "a text; quote it", at))
}

/// The value is of another kind. Code 6.
pub(crate) fn not(key: &str, wanted: &str, found: &Json) -> Error {
    let key = if key.is_empty() { "the document" } else { key };
    Error::new(Code::DECODE, format!("{key}: must be {wanted}, not {}", found.kind()))
}
