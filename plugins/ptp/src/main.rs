//! `ptp`: see README.md for its options.

use std::process::ExitCode;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};

struct Ptp;

impl Plugin for Ptp {
    const NAME: &'static str = "ptp";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        attach::ptp::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        attach::ptp::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        attach::ptp::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        attach::ptp::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        attach::ptp::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Ptp)
}
