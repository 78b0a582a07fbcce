//! `portmap`: see README.md for its options.

use std::process::ExitCode;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};

struct Portmap;

impl Plugin for Portmap {
    const NAME: &'static str = "portmap";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        chain::portmap::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        chain::portmap::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        chain::portmap::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        chain::portmap::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        chain::portmap::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Portmap)
}
