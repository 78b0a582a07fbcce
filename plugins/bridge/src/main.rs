//! `bridge`: see README.md for its options.

use std::process::ExitCode;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};

struct Bridge;

impl Plugin for Bridge {
    const NAME: &'static str = "bridge";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        attach::bridge::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        attach::bridge::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        attach::bridge::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        attach::bridge::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        attach::bridge::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Bridge)
}
