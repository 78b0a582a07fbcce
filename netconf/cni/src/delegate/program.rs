//! One execution of a plugin.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::{Code, Error, Json, PluginPath};

/// How often an executable that is being written is tried again; with waits that double from one
/// millisecond this is a second in all.
const TRIES: u32 = 10;

/// Standard output that is quoted in an error is cut here.
const LONGEST_QUOTE: usize = 400;

/// An executable plugin.
pub(super) struct Program<'a> {
    kind: &'a str,
    file: PathBuf,
}

/// An execution that failed.
pub(super) enum Failed {
    /// The plugin said so itself, in an error object.
    Told(Error),
    /// It could not be run, or ended without saying why.
    Broken(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Told(error) | Failed::Broken(error) => error,
        }
    }
}

impl<'a> Program<'a> {
    pub(super) fn find(kind: &'a str, path: &PluginPath) -> Result<Self, Error> {
        Ok(Self { kind, file: path.find(kind)? })
    }

    /// Runs it to its end and returns what it printed. Of `variables` the empty ones are unset.
    pub(super) fn run<const N: usize>(
        &self,
        verb: &str,
        variables: [(&str, OsString); N],
        stdin: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        let mut command = Command::new(&self.file);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        for (name, value) in variables {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        command.env("CNI_COMMAND", verb);

        let failed = |doing: &str, e: io::Error| {
            let (kind, file) = (self.kind, self.file.display());
            Failed::Broken(Error::new(Code::IO, format!("{verb} by {kind}: {doing} {file}: {e}")))
        };
        let child = spawn(&mut command).map_err(|e| failed("executing", e))?;
        let output = converse(child, stdin).map_err(|e| failed("talking to", e))?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.error(verb, &output)) }
    }

    /// The delegate's own error object, or one that says how it ended without any.
    fn error(&self, verb: &str, output: &Output) -> Failed {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Object {
            code: u32,
            msg: String,
            details: String,
        }

        let object = Json::parse(&output.stdout, "an error").and_then(|json| json.decode());
        if let Ok(Object { code, msg, details }) = object
            && (code != 0 || !msg.is_empty())
            && output.status.signal().is_none()
        {
            return Failed::Told(Error { code: Code(code), msg, details });
        }
        let (kind, status) = (self.kind, output.status);
        let error = Error::new(
            Code::IO,
            format!("{verb} by {kind} ended with {status} and no error object"),
        )
        .details(self.file.display().to_string());
        let printed = String::from_utf8_lossy(&output.stdout);
        Failed::Broken(match printed.trim() {
            "" => error,
            printed => {
                let quote: String = printed.chars().take(LONGEST_QUOTE).collect();
                error.details(format!("it printed {quote:?}"))
            }
        })
    }
}

/// Starts a program. While somebody writes to the file (an installer that copies in place) the
/// kernel answers ETXTBSY, which passes.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut wait = Duration::from_millis(1);
    for _ in 1..TRIES {
        match command.spawn() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => {}
            other => return other,
        }
        #[expect(clippy::disallowed_methods, reason = "nothing tells when a file is executable")]
        thread::sleep(wait);
        wait *= 2;
    }
    command.spawn()
}

/// Hands over stdin while stdout is read, so that neither side waits for the other's full pipe. A
/// delegate need not read what it is given.
fn converse(mut child: Child, stdin: &[u8]) -> io::Result<Output> {
    let pipe = child.stdin.take();
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, move || {
            if let Some(mut pipe) = pipe {
                drop(pipe.write_all(stdin));
            }
        })?;
        child.wait_with_output()
    })
}
