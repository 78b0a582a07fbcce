//! The life of a call: environment and stdin are checked, the verb is carried out, and exactly one
//! JSON object, or nothing, goes to stdout.

mod environment;
mod input;
mod panic;

use std::io::{self, Read, Write};
use std::process::ExitCode;

use crate::call::{Call, GcCall, NetConf, StatusCall};
use crate::{Attachment, Code, Error, Json, Plugin, Version, stderr};
pub use environment::Environment;
use environment::{Target, Verb};

/// A configuration larger than this is not read to its end.
const LARGEST_STDIN: u64 = 16 << 20;

/// What a call leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The result or the error object; empty for verbs that succeed without a result.
    pub stdout: String,
    /// Lines for the operator.
    pub stderr: String,
    /// The exit status: 0, or 1 with an error object on stdout.
    pub code: u8,
}

/// A plugin's `main`: answers the call that the process was started for.
///
/// A panic, in whichever thread, becomes an error object of code 110. Rust ignores SIGPIPE, so a
/// runtime that has gone away shows as an error of the write.
pub fn run<P: Plugin>(plugin: &P) -> ExitCode {
    panic::answer_with_error_object(newest(P::VERSIONS));
    answer(plugin, &Environment::of_process(), read_stdin).write()
}

/// Answers a call from `environment` and `stdin` alone.
pub fn dispatch<P: Plugin>(plugin: &P, environment: &Environment, stdin: &[u8]) -> Output {
    answer(plugin, environment, || Ok(stdin.to_vec()))
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(LARGEST_STDIN + 1).read_to_end(&mut bytes)?;
    if read as u64 > LARGEST_STDIN {
        return Err(io::Error::other("more than 16 MiB"));
    }
    Ok(bytes)
}

fn answer<P: Plugin>(
    plugin: &P,
    environment: &Environment,
    stdin: impl FnOnce() -> io::Result<Vec<u8>>,
) -> Output {
    if environment.command.is_empty() {
        return Output { stderr: about(P::NAME, P::VERSIONS), ..Output::default() };
    }
    let mut spoken = newest(P::VERSIONS);
    let mut warnings = Vec::new();
    let outcome = environment.target().and_then(|target| {
        if target.verb == Verb::Version {
            return Ok(versions(P::VERSIONS));
        }
        let stdin = stdin().map_err(|e| {
            Error::new(Code::IO, format!("reading the network configuration from stdin: {e}"))
        })?;
        let conf = NetConf::parse_for(stdin, P::VERSIONS, &mut spoken)?;
        carry_out(plugin, environment, target, conf, &mut warnings)
    });
    let stderr = warnings
        .into_iter()
        .fold(String::new(), |lines, warning| lines + P::NAME + ": " + &warning + "\n");
    match outcome {
        Ok(stdout) => Output { stdout, stderr, code: 0 },
        Err(error) => Output { stdout: error.print(spoken), stderr, code: 1 },
    }
}

fn carry_out<P: Plugin>(
    plugin: &P,
    environment: &Environment,
    target: Target,
    mut conf: NetConf,
    warnings: &mut Vec<String>,
) -> Result<String, Error> {
    target.verb.exists_in(conf.version)?;
    let path = environment.plugin_path();
    let nothing = |()| String::new();
    match target.verb {
        Verb::Version => return Ok(versions(P::VERSIONS)),
        Verb::Gc => {
            let valid = input::valid_attachments(&conf)?;
            return plugin.gc(&GcCall { path, conf, valid }).map(nothing);
        }
        Verb::Status => return plugin.status(&StatusCall { path, conf }).map(nothing),
        Verb::Add | Verb::Del | Verb::Check => {}
    }

    let Some((container, ifname)) = target.names else {
        return Err(Error::new(Code::INTERNAL, "a call without names passed the first check"));
    };
    let prev_result = match input::prev_result(&conf) {
        Err(error) if target.verb == Verb::Del => {
            warnings.push(format!("DEL goes on without it: {error}"));
            None
        }
        other => other?,
    };
    let netns = environment.netns_for(target.verb, warnings)?;
    if target.verb == Verb::Add {
        conf.note_spelling();
    }
    let attachment = Attachment { network: conf.network.clone(), container, ifname };
    let args = environment.args.clone();
    let call = Call { attachment, netns, args, path, conf, prev_result };
    match target.verb {
        Verb::Del => plugin.del(&call).map(nothing),
        Verb::Check if call.prev_result.is_none() => Err(Error::new(
            Code::CONFIG,
            "prevResult is missing: CHECK has nothing to compare with",
        )),
        Verb::Check => plugin.check(&call).map(nothing),
        _ => {
            let outcome = plugin.add(&call);
            warnings.extend(call.conf.warnings());
            let result = outcome?;
            result.print(call.conf.version).map_err(|error| undone(plugin, &call, error))
        }
    }
}

/// A result that cannot be told is an ADD that failed, and such an ADD leaves nothing behind.
fn undone<P: Plugin>(plugin: &P, call: &Call, error: Error) -> Error {
    match plugin.del(call) {
        Ok(()) => error,
        Err(undo) => error.details(format!("undoing the ADD: {undo}")),
    }
}

fn newest(versions: &[Version]) -> Version {
    versions.iter().copied().max().unwrap_or(Version::V1_1_0)
}

fn names(versions: &[Version]) -> impl Iterator<Item = &'static str> {
    versions.iter().map(|version| version.as_str())
}

/// What people and installers see who start a plugin by hand.
fn about(name: &str, versions: &[Version]) -> String {
    format!(
        "CNI {name} plugin v{}\nCNI protocol versions supported: {}\n",
        env!("CARGO_PKG_VERSION"),
        names(versions).collect::<Vec<_>>().join(", ")
    )
}

/// The answer to VERSION: one line. `cniVersion` is the newest of the protocol, as from the
/// reference, and not the version asked in: stdin is not read.
fn versions(versions: &[Version]) -> String {
    let answer = Json::Object(vec![
        ("cniVersion".to_owned(), newest(Version::ALL).as_str().into()),
        ("supportedVersions".to_owned(), names(versions).collect()),
    ]);
    format!("{answer}\n")
}

impl Output {
    /// Puts it where it belongs. A result that could not be handed over is a failure.
    fn write(&self) -> ExitCode {
        stderr::write(&self.stderr);
        if !panic::may_answer() {
            return ExitCode::FAILURE;
        }
        match write_stdout(&self.stdout) {
            Ok(()) => ExitCode::from(self.code),
            Err(e) => {
                stderr::warn(format_args!("writing the answer to stdout: {e}"));
                ExitCode::FAILURE
            }
        }
    }
}

fn write_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
