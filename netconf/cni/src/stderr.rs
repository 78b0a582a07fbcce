//! Stderr belongs to the operator: free text, and silence when all is well.

use std::fmt::Display;
use std::io::Write;

/// Writes a warning, one line. A closed stderr is nobody's concern.
pub fn warn(text: impl Display) {
    write(&format!("{text}\n"));
}

pub(crate) fn write(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
