//! The differences that a CHECK found.

use cni::{Code, Error};

/// Collects differences, to tell all of them at once.
#[derive(Debug, Default)]
pub struct Findings(Vec<String>);

impl Findings {
    /// Adds a difference.
    pub fn add(&mut self, difference: impl Into<String>) {
        self.0.push(difference.into());
    }

    /// Adds a difference when `have` is not `want`.
    pub fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, have: &T, want: &T) {
        if have != want {
            self.add(format!("{what} is {have:?} instead of {want:?}"));
        }
    }

    /// Adds what a deeper check found.
    pub fn adopt(&mut self, outcome: Result<(), Error>) {
        if let Err(e) = outcome {
            self.add(e.to_string());
        }
    }

    /// Code 103 when there is a difference.
    pub fn conclude(self, attachment: &cni::Attachment) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let msg = format!("{attachment} is not as it was made: {}", self.0.join("; "));
        Err(Error::new(Code::CHECK, msg))
    }
}
