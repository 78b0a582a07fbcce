//! `bandwidth`: see README.md for its options.

use std::process::ExitCode;

use chain::bandwidth;
use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall, Version};

struct Bandwidth;

impl Plugin for Bandwidth {
    const NAME: &'static str = "bandwidth";
    const VERSIONS: &'static [Version] = bandwidth::VERSIONS;

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        bandwidth::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        bandwidth::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        bandwidth::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        bandwidth::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        bandwidth::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Bandwidth)
}
