//! `logFile` and `logLevel`.
//!
//! Whoever may write a NetworkAttachmentDefinition must not thereby make root write wherever they like:
//! the file is one of a directory that belongs to the node's administrator.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cni::{Error, NetConf};
use serde::Deserialize;

use super::options::choice;

/// Where log files are.
const DIRECTORY: &str = "/var/log/podwire";

/// How much is written, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Failures.
    Error,
    /// Every ADD, DEL, CHECK, GC.
    #[default]
    Info,
    /// And the configurations that they had.
    Debug,
}

/// The log of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    path: Option<PathBuf>,
    level: Level,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    log_file: String,
    log_level: String,
}

impl Log {
    /// Reads the options. Code 7.
    pub fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let known = [
            ("panic", Level::Error),
            ("error", Level::Error),
            ("warning", Level::Error),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("verbose", Level::Debug),
        ];
        let level = choice("logLevel", &raw.log_level, &known)?.unwrap_or_default();
        let path = (!raw.log_file.is_empty()).then(|| place(&raw.log_file)).transpose()?;
        Ok(Self { path, level })
    }

    /// Appends a line. A log that cannot be written hinders nothing.
    pub fn line(&self, level: Level, text: impl FnOnce() -> String) {
        let Some(path) = self.path.as_deref().filter(|_| level <= self.level) else { return };
        if let Err(e) = append(path, &text()) {
            cni::warn(format_args!("logFile {}: {e}", path.display()));
        }
    }
}

fn place(text: &str) -> Result<PathBuf, Error> {
    let path = Path::new(text);
    let plain = path.parent() == Some(Path::new(DIRECTORY))
        && path.file_name().is_some_and(|name| Path::new(DIRECTORY).join(name).as_os_str() == text);
    if plain {
        return Ok(path.to_owned());
    }
    let why = format!("log files are directly in {DIRECTORY}");
    Err(Error::config("logFile", format_args!("{text:?}"), &why).details(format!(
        "write {DIRECTORY}/NAME, or leave it out: errors and warnings are on stderr"
    )))
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    kernel::fault::point("append to the log")?;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = match options.open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o750).create(DIRECTORY)?;
            options.open(path)?
        }
        other => other?,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = text.replace(['\n', '\r'], " ");
    // One write, so that lines of parallel calls do not mix.
    file.write_all(format!("{}.{:03} {text}\n", now.as_secs(), now.subsec_millis()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_admins_directory_are_logs() {
        assert_eq!(
            place("/var/log/podwire/sriov.log").unwrap(),
            Path::new("/var/log/podwire/sriov.log")
        );
        for path in [
            "sriov.log",
            "/tmp/x",
            "/var/log/podwire",
            "/var/log/podwire/",
            "/var/log/podwire/../x",
            "/var/log/podwire/a/b",
            "/var/log/podwire/./x",
            "/var/log/podwire//x",
            "/var/log/podwire/..",
            "/var/log/podwire/x/",
        ] {
            let e = place(path).expect_err(path);
            assert_eq!(e.code, cni::Code::CONFIG);
            assert!(e.msg.starts_with("logFile") && e.msg.contains(path), "{e}");
        }
    }
}
