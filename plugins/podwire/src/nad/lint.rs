//! `podwire nad lint`: what is wrong in files of networks and pods.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use ::nad::lint::Severity;
use clap::Args;

use super::read_all;
use crate::failure::Failure;
use crate::plain::plain;

/// Says what is wrong in files of NetworkAttachmentDefinitions and pods
///
/// Each finding is a line FILE: OBJECT: MESSAGE, with `warning:` before the message where Multus would
/// go on all the same. The exit code is 1 when there is an error.
#[derive(Debug, Args)]
pub struct Arguments {
    /// YAML or JSON, as for `kubectl apply -f`; `-` is stdin
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the node keeps configurations for networks that have none themselves, which are passed over
    /// otherwise (Multus: /etc/cni/multus/net.d)
    #[arg(long, value_name = "DIRECTORY")]
    conf_dir: Option<PathBuf>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
}

/// Prints the findings.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let files = read_all(&arguments.files)?;
    let findings = ::nad::lint::lint(&files, arguments.conf_dir.as_deref());
    let mut wrong = false;
    for finding in findings {
        wrong |= arguments.strict || finding.severity == Severity::Error;
        writeln!(out, "{}", plain(&finding.to_string()))?;
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
