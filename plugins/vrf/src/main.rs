//! `vrf`: see README.md for its options.

use std::process::ExitCode;

use chain::vrf;
use cni::{AddResult, Call, Error, GcCall, Plugin, StatusCall, Version};

struct Vrf;

impl Plugin for Vrf {
    const NAME: &'static str = "vrf";
    const VERSIONS: &'static [Version] = vrf::VERSIONS;

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        vrf::add(call)
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        vrf::del(call)
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        vrf::check(call)
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        vrf::gc(call)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        vrf::status(call)
    }
}

fn main() -> ExitCode {
    cni::run(&Vrf)
}
