//! What ends a command early.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::plain::plain;

/// The reason.
#[derive(Debug)]
pub enum Failure {
    /// What was asked for cannot be had.
    Refused(cni::Error),
    /// The output cannot be written.
    Output(io::Error),
}

impl Failure {
    /// Says so on stderr, and the exit code: 1, or 0 when the reader of the output has had enough, as
    /// `head` does.
    pub fn report(&self) -> ExitCode {
        let text = match self {
            Self::Refused(error) => error.to_string(),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Output(error) => format!("write the output: {error}"),
        };
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "podwire: {}", plain(&text));
        ExitCode::FAILURE
    }
}

impl From<cni::Error> for Failure {
    fn from(error: cni::Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
