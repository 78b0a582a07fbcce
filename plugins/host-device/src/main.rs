//! `host-device`: see README.md for its options.

mod config;
mod find;

use std::process::ExitCode;

use cni::{Call, Code, Error, NetConf};
use handover::{Handover, Kind, Sought, Wanted, is_lent};

use config::Config;

struct HostDevice;

impl Kind for HostDevice {
    const NAME: &'static str = "host-device";

    fn sought(&self, call: &Call) -> Result<Sought, Error> {
        Ok(Config::of(call)?.sought)
    }

    fn wanted(&self, call: &Call) -> Result<Wanted, Error> {
        let config = Config::of(call)?;
        let (device, link) = find::device(&config)?;
        Ok(Wanted {
            mac: config.mac,
            mtu: config.mtu,
            all_multicast: config.all_multicast,
            promiscuous: config.promiscuous,
            carry_network: config.carry_network,
            tell_host_name: true,
            force: config.force,
            dns: config.dns,
            ..Wanted::of(device, link)
        })
    }

    fn status(&self, conf: &NetConf) -> Result<(), Error> {
        let config = Config::parse(conf, None)?;
        // Where the runtime names the device, there is none to look for now.
        if config.by.is_none() {
            return Ok(());
        }
        match find::device(&config) {
            Ok(_) => Ok(()),
            // A device of a bus stays there while its interface is in a container.
            Err(_) if config.sought.id.is_none() && is_lent(conf, &config.sought)? => Ok(()),
            Err(e) => Err(Error { code: Code::NOT_AVAILABLE, ..e }),
        }
    }
}

fn main() -> ExitCode {
    cni::run(&Handover(HostDevice))
}
