//! The daemon's flags, as Go's `flag` package reads them: one dash or two, the value behind `=` or in
//! the next argument, a switch without a value or behind `=` only.

use std::path::PathBuf;
use std::time::Duration;

use crate::talk;

/// What `dhcp daemon -h` says.
pub const USAGE: &str = "\
usage: dhcp daemon [flags]
  -broadcast                 tell servers to answer by broadcast
  -hostprefix PATH           put PATH in front of the paths of containers' namespaces
  -pidfile PATH              write the process id to this file (absolute)
  -resendmax DURATION        pause between two repetitions at most (default 62s)
  -resendtimeout DURATION    give an ADD up after that time (default 208s)
  -socketpath PATH           listen here (default /run/cni/dhcp.sock)
  -state DIRECTORY           keep the leases here (default: the socket's path without .sock)
  -timeout DURATION          time for the answers to one exchange (default 10s)
";

/// The flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    pub pidfile: Option<PathBuf>,
    pub host_prefix: String,
    pub socket: PathBuf,
    pub state: PathBuf,
    pub broadcast: bool,
    pub timeout: Duration,
    pub resend_max: Duration,
    pub resend_timeout: Duration,
}

impl Flags {
    /// Reads them. The error is a sentence that names the flag and its value; an empty one stands for
    /// a request for help.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self {
            pidfile: None,
            host_prefix: String::new(),
            socket: talk::SOCKET.into(),
            state: PathBuf::new(),
            broadcast: false,
            timeout: Duration::from_secs(10),
            resend_max: Duration::from_secs(62),
            resend_timeout: Duration::from_secs(208),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))
            else {
                return Err(format!("{argument:?} is no flag"));
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if name == "broadcast" {
                flags.broadcast = switch(value.as_deref().unwrap_or("true"))
                    .ok_or_else(|| format!("{argument}: neither true nor false"))?;
                continue;
            }
            if matches!(name, "h" | "help") {
                return Err(String::new());
            }
            let mut value = || {
                value
                    .clone()
                    .or_else(|| arguments.next())
                    .ok_or_else(|| format!("-{name} needs a value"))
            };
            let mut time = || -> Result<Duration, String> {
                let value = value()?;
                duration(&value)
                    .filter(|time| !time.is_zero())
                    .ok_or_else(|| format!("-{name} {value:?}: no duration such as 10s or 1m30s"))
            };
            match name {
                "timeout" => flags.timeout = time()?,
                "resendmax" => flags.resend_max = time()?,
                "resendtimeout" => flags.resend_timeout = time()?,
                "pidfile" => {
                    flags.pidfile = Some(value()?).filter(|v| !v.is_empty()).map(Into::into);
                }
                "hostprefix" => flags.host_prefix = value()?,
                "socketpath" => flags.socket = value()?.into(),
                "state" => flags.state = value()?.into(),
                _ => return Err(format!("-{name} is not known")),
            }
        }
        if let Some(relative) = flags.pidfile.as_ref().filter(|path| path.is_relative()) {
            return Err(format!("-pidfile {}: the path is not absolute", relative.display()));
        }
        if flags.socket.file_name().is_none() {
            return Err(format!("-socketpath {}: names no file", flags.socket.display()));
        }
        if flags.state.as_os_str().is_empty() {
            let suffix = flags.socket.extension().is_some_and(|extension| extension == "sock");
            flags.state = flags.socket.with_extension(if suffix { "" } else { "leases" });
        }
        Ok(flags)
    }
}

/// As Go's `strconv.ParseBool`.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// As Go's `time.ParseDuration`: numbers with a unit each, added up. Less than a nanosecond is cut.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("μs", 1e-6),
        ("ms", 1e-3),
        ("h", 3600.0),
        ("m", 60.0),
        ("s", 1.0),
    ];
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    loop {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(length);
        let (unit, worth) = UNITS.iter().find(|(unit, _)| behind.starts_with(unit))?;
        seconds += number.parse::<f64>().ok()? * worth;
        rest = behind.strip_prefix(unit)?;
        if rest.is_empty() {
            return Duration::try_from_secs_f64(seconds).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, String> {
        Flags::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let flags = parse(
            "-pidfile /run/d.pid --hostprefix=/host -socketpath /tmp/x.sock -broadcast \
             -timeout 1m30.5s --resendmax=500ms -resendtimeout 2h",
        )
        .unwrap();
        assert_eq!(flags.pidfile, Some("/run/d.pid".into()));
        assert_eq!(flags.host_prefix, "/host");
        assert_eq!((flags.socket, flags.state), ("/tmp/x.sock".into(), "/tmp/x".into()));
        assert!(flags.broadcast);
        assert_eq!(flags.timeout, Duration::from_millis(90_500));
        assert_eq!(flags.resend_max, Duration::from_millis(500));
        assert_eq!(flags.resend_timeout, Duration::from_hours(2));
        let defaults = parse("-broadcast=false").unwrap();
        assert_eq!(defaults.state, PathBuf::from("/run/cni/dhcp"));
        assert_eq!(defaults.timeout, Duration::from_secs(10));
        assert!(!defaults.broadcast);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, word) in [
            ("-timeout 10", "10"),
            ("-timeout -5s", "-5s"),
            ("-timeout 0s", "0s"),
            ("-timeout s", "\"s\""),
            ("-timeout", "needs a value"),
            ("-pidfile relative", "relative"),
            ("-broadcast=perhaps", "perhaps"),
            ("-tiemout 5s", "tiemout"),
            ("daemon", "daemon"),
            ("-socketpath /", "/"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
        assert_eq!(parse("-h").unwrap_err(), "");
    }
}
