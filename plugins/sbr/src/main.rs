//! `sbr`: see README.md for its options.

use std::process::ExitCode;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};

struct Sbr;

impl Plugin for Sbr {
    const NAME: &'static str = "sbr";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        chain::sbr::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        chain::sbr::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        chain::sbr::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        chain::sbr::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        chain::sbr::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Sbr)
}
