//! `tuning`: see README.md for its options.

use std::process::ExitCode;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};

struct Tuning;

impl Plugin for Tuning {
    const NAME: &'static str = "tuning";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        chain::tuning::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        chain::tuning::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        chain::tuning::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        chain::tuning::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        chain::tuning::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Tuning)
}
