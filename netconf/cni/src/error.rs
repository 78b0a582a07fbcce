//! The error object of the protocol and its codes (spec section 5, "Error").

use std::fmt;

use crate::{Json, Version};

/// An error's code. Below 100 the spec's, from 100 on ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl Code {
    /// The config's `cniVersion` is not supported, or the verb did not exist in it.
    pub const VERSION: Self = Self(1);
    /// A config field that is known but not supported; the message names key and value.
    pub const UNSUPPORTED: Self = Self(2);
    /// The container is unknown or gone.
    pub const UNKNOWN_CONTAINER: Self = Self(3);
    /// An environment variable is missing or malformed; the message names it.
    pub const ENVIRONMENT: Self = Self(4);
    /// Reading, writing, locking or executing failed.
    pub const IO: Self = Self(5);
    /// What was read is not the JSON it should be.
    pub const DECODE: Self = Self(6);
    /// The network configuration contradicts itself, the node or the request.
    pub const CONFIG: Self = Self(7);
    /// `CNI_NETNS` is missing, no network namespace, or our own.
    pub const NETNS: Self = Self(8);
    /// Passing trouble: the same call may succeed later.
    pub const TRY_AGAIN: Self = Self(11);
    /// STATUS: an ADD would fail now.
    pub const NOT_AVAILABLE: Self = Self(50);
    /// STATUS: an ADD would fail now, and existing containers are impaired.
    pub const IMPAIRED: Self = Self(51);
    /// The kernel refused; the details hold its reason.
    pub const KERNEL: Self = Self(100);
    /// Something that is not ours stands where ours should.
    pub const CONFLICT: Self = Self(101);
    /// No address is left.
    pub const EXHAUSTED: Self = Self(102);
    /// CHECK found a difference.
    pub const CHECK: Self = Self(103);
    /// A defect of ours.
    pub const INTERNAL: Self = Self(110);
}

/// An error as the runtime will read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its code.
    pub code: Code,
    /// One line: what was tried, on what, and what stood against it.
    pub msg: String,
    /// The rest: the kernel's reason, how to mend it. May be empty.
    pub details: String,
}

impl Error {
    /// An error without details.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// The config's `key` has a `value` that cannot be served; `why` ends the sentence.
    pub fn config(key: &str, value: impl fmt::Display, why: &str) -> Self {
        Self::new(Code::CONFIG, format!("{key} {value}: {why}"))
    }

    /// Adds to the details.
    #[must_use]
    pub fn details(mut self, details: impl AsRef<str>) -> Self {
        if !self.details.is_empty() && !details.as_ref().is_empty() {
            self.details.push_str("; ");
        }
        self.details.push_str(details.as_ref());
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn while_(mut self, doing: impl fmt::Display) -> Self {
        self.msg = format!("{doing}: {}", self.msg);
        self
    }

    /// The error object as it goes to stdout.
    pub fn print(&self, version: Version) -> String {
        let mut members = vec![
            ("cniVersion".to_owned(), version.as_str().into()),
            ("code".to_owned(), self.code.0.into()),
            ("msg".to_owned(), self.msg.as_str().into()),
        ];
        if !self.details.is_empty() {
            members.push(("details".to_owned(), self.details.as_str().into()));
        }
        Json::Object(members).pretty()
    }

    /// One error out of those that a teardown collected: the first one's code, everybody's words.
    pub fn all(errors: Vec<Self>) -> Result<(), Self> {
        errors
            .into_iter()
            .reduce(|mut all, next| {
                all.msg = format!("{}; {}", all.msg, next.msg);
                all.details(next.details)
            })
            .map_or(Ok(()), Err)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, " ({})", self.details) }
    }
}

impl std::error::Error for Error {}
