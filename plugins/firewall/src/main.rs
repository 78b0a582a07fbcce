//! `firewall`: see README.md for its options.

use std::process::ExitCode;

use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall};

struct Firewall;

impl Plugin for Firewall {
    const NAME: &'static str = "firewall";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        chain::firewall::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        chain::firewall::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        chain::firewall::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        chain::firewall::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        chain::firewall::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Firewall)
}
