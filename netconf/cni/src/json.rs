//! JSON as a tree that keeps what was written: the order of keys, and keys that came twice.
//!
//! Configurations are read through it because Go's decoder, for which they were written, matches
//! keys without regard to case, takes `null` for the zero value and lets the last of several
//! duplicates win; serde's derived code does none of that on its own. See [`decode`](Json::decode).

mod access;
mod decode;
mod error;
mod fold;
mod spelling;

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Number;
use serde_json::ser::PrettyFormatter;

use crate::{Code, Error};
use decode::Node;
pub(crate) use spelling::Spelling;
pub use spelling::likely;

/// A JSON value. Objects keep the order of their members and their duplicates.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads `bytes`, which are `what` ("the network configuration"). Bytes that are no UTF-8
    /// become U+FFFD, as in Go. Nesting deeper than 127 is refused. Code 6.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Error> {
        serde_json::from_str(&String::from_utf8_lossy(bytes))
            .map_err(|e| Error::new(Code::DECODE, format!("{what} is not JSON: {e}")))
    }

    /// The value of an object's `key` as Go would find it: any letter case, the last one counts.
    /// `null` is the same as nothing.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let (_, value) = members.iter().rev().find(|(name, _)| fold::same(name, key))?;
        (*value != Self::Null).then_some(value)
    }

    /// Sets an object's `key`: the first member that [`get`](Self::get) could mean becomes this one,
    /// further ones go, and where there is none it comes last. Nothing happens to other values.
    pub fn set(&mut self, key: &str, value: Self) {
        let Self::Object(members) = self else { return };
        let at = members.iter().position(|(name, _)| fold::same(name, key));
        members.retain(|(name, _)| !fold::same(name, key));
        members.insert(at.unwrap_or(members.len()), (key.to_owned(), value));
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The tree as `T`, by the rules of Go's decoder:
    /// - the keys of structs match in any letter case, at every level; the keys of maps are kept;
    /// - of duplicate keys the last one counts; unknown keys pass;
    /// - `null` is a missing key for a field, and the zero value (false, 0, "", nothing) elsewhere.
    ///
    /// A type error has code 6, everything else that `T` refuses code 7; the message begins with
    /// the path and the value, as in `ipam.ranges[0][0].subnet "10.0.0.0/33": ...`.
    ///
    /// `flatten`, `untagged` and internally tagged forms of serde collect values before they know
    /// the field, so keys below them match exactly; leave them out of configurations.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(Node::root(self, None)).map_err(Into::into)
    }

    /// [`decode`](Self::decode), with misspelt keys noted.
    pub(crate) fn decode_noting<T: DeserializeOwned>(
        &self,
        spelling: Option<&Spelling>,
    ) -> Result<T, Error> {
        T::deserialize(Node::root(self, spelling)).map_err(Into::into)
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// The text on several lines, indented by four spaces, without a newline at the end: what
    /// Go's `json.MarshalIndent(v, "", "    ")` writes.
    pub fn pretty(&self) -> String {
        let mut text = Vec::new();
        let formatter = PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        match self.serialize(&mut serializer) {
            Ok(()) => escape_as_go(&String::from_utf8_lossy(&text)),
            Err(_) => String::new(), // writing into memory; keys are strings
        }
    }

    /// The text on one line, without blanks: what Go's `json.Marshal(v)` writes.
    pub fn compact(&self) -> String {
        escape_as_go(&self.to_string())
    }
}

/// Go's encoder escapes what could end a script element in HTML. In JSON text these characters
/// occur within strings only.
fn escape_as_go(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// On one line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl<T: Into<Self>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    object.serialize_entry(key, value)?;
                }
                object.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}
