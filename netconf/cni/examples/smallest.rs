//! The smallest plugin there is: it gives the container the address in its config, and makes
//! nothing. Its panics are for the test of what becomes of them.

use std::process::ExitCode;

use cni::{AddResult, Call, Cidr, Error, GcCall, IpConfig, Plugin, StatusCall};
use serde::Deserialize;

#[derive(Deserialize)]
struct Conf {
    address: Cidr,
}

#[derive(Deserialize)]
struct Fault {
    panic: Option<String>,
}

struct Smallest;

impl Plugin for Smallest {
    const NAME: &'static str = "smallest";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        fault(call)?;
        let Conf { address } = call.conf.decode()?;
        let ip = IpConfig { interface: None, address: address.0, gateway: None };
        Ok(AddResult { ips: vec![ip], ..AddResult::default() })
    }

    fn del(&self, call: &Call) -> Result<(), Error> {
        fault(call)
    }

    fn check(&self, _: &Call) -> Result<(), Error> {
        Ok(())
    }

    fn gc(&self, _: &GcCall) -> Result<(), Error> {
        Ok(())
    }

    fn status(&self, _: &StatusCall) -> Result<(), Error> {
        Ok(())
    }
}

fn fault(call: &Call) -> Result<(), Error> {
    match call.conf.decode::<Fault>()?.panic.as_deref() {
        Some("here") => told(),
        Some("thread") => drop(std::thread::spawn(told).join()),
        _ => {}
    }
    Ok(())
}

#[expect(clippy::panic, reason = "told to")]
fn told() {
    panic!("told to");
}

fn main() -> ExitCode {
    cni::run(&Smallest)
}
