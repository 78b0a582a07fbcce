//! What stands against decoding a tree, and where.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::Json;
use crate::{Code, Error};

/// Values longer than this are cut in messages.
const LONGEST_VALUE: usize = 80;

/// A step on the way from the root to a value.
#[derive(Debug)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// An error on its way out of the tree: each level it passes adds the step that led to it.
#[derive(Debug)]
pub(super) struct DecodeError {
    code: Code,
    /// The innermost step first.
    path: Vec<Step>,
    value: Option<String>,
    why: String,
}

impl DecodeError {
    fn new(code: Code, why: String) -> Self {
        Self { code, path: Vec::new(), value: None, why }
    }

    /// The value is of a kind that cannot stand here.
    pub(super) fn kind(found: &Json, wanted: &str) -> Self {
        Self::new(Code::DECODE, format!("must be {wanted}, not {}", found.kind()))
    }

    /// The value is of the right kind, but none that can be.
    pub(super) fn value(why: String) -> Self {
        Self::new(Code::CONFIG, why)
    }

    /// The same error one level further out, where `at` led to `value`.
    pub(super) fn below(mut self, at: Step, value: &Json) -> Self {
        if self.path.is_empty() && !matches!(value, Json::Array(_) | Json::Object(_)) {
            self.value = Some(shortened(value.to_string()));
        }
        self.path.push(at);
        self
    }
}

fn shortened(mut value: String) -> String {
    if let Some((end, _)) = value.char_indices().nth(LONGEST_VALUE) {
        value.truncate(end);
        value.push('…');
    }
    value
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::value(why.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Code::DECODE, format!("must be {wanted}, not {found}"))
    }

    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::value(format!("must be {wanted}"))
    }

    fn invalid_length(length: usize, wanted: &dyn Expected) -> Self {
        Self::new(Code::DECODE, format!("must be {wanted}, not {length} values"))
    }

    fn unknown_variant(_: &str, wanted: &'static [&'static str]) -> Self {
        Self::value(format!("must be one of {}", wanted.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        let mut error = Self::value("is missing".to_owned());
        error.path.push(Step::Key(field.to_owned()));
        error
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.path.iter().rev().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        if let Some(value) = &self.value {
            write!(f, " {value}")?;
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for DecodeError {}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(error.code, error.to_string().replace('\n', " ")) // a message is one line
    }
}
