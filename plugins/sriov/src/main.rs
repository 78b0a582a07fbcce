//! `sriov`: see README.md for its options.

use std::process::ExitCode;

use cni::{AddResult, Call, Error, GcCall, NetConf, Plugin, StatusCall};
use handover::sriov::{Level, Log, Sriov};
use handover::{Handover, Kind};

/// The verbs, told in the log.
struct Logged(Handover<Sriov>);

impl Plugin for Logged {
    const NAME: &'static str = <Sriov as Kind>::NAME;

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        tell("ADD", Some(call), &call.conf, self.0.add(call))
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        tell("DEL", Some(call), &call.conf, self.0.del(call))
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        tell("CHECK", Some(call), &call.conf, self.0.check(call))
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        tell("GC", None, &call.conf, self.0.gc(call))
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        tell("STATUS", None, &call.conf, self.0.status(call))
    }
}

/// Logs what became of a call. Options of the log that are wrong are refused by the verbs that may.
fn tell<T>(
    verb: &str,
    call: Option<&Call>,
    conf: &NetConf,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    let log = Log::parse(conf).unwrap_or_default();
    let what = || match call {
        Some(call) => format!("{verb} {}", call.attachment),
        None => format!("{verb} {}", conf.network),
    };
    log.line(Level::Debug, || format!("{} with {}", what(), String::from_utf8_lossy(&conf.raw)));
    match &outcome {
        Ok(_) => log.line(Level::Info, || format!("{}: done", what())),
        Err(e) => log.line(Level::Error, || format!("{}: code {}: {e}", what(), e.code.0)),
    }
    outcome
}

fn main() -> ExitCode {
    cni::run(&Logged(Handover(Sriov)))
}
