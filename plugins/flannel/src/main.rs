//! `flannel`: see README.md for its options.

mod config;
mod delegate;
mod render;
mod scratch;

use std::process::ExitCode;

use cni::{AddResult, Call, Code, Error, GcCall, Plugin, StatusCall};
use flannel::SubnetEnv;

use config::Config;
use delegate::Delegate;
use scratch::Scratch;

struct Flannel;

impl Plugin for Flannel {
    const NAME: &'static str = "flannel";

    fn add(&self, call: &Call) -> Result<AddResult, Error> {
        let config = Config::parse(&call.conf)?;
        let env = SubnetEnv::read(&config.subnet_file)?;
        let conf = render::whole(&call.conf, &config, &env)?;
        let delegate = Delegate::of(&conf, &call.path)?;
        let scratch = Scratch::of(&config, &call.attachment);
        scratch.write(&conf)?;
        delegate.add(&Call { conf, ..call.clone() }).map_err(|refused| match scratch.remove() {
            Ok(()) => refused,
            Err(left) => refused.details(format!("could not be taken back: {left}")),
        })
    }

    /// With the configuration that the ADD used, where it is known; the subnet may be another one by
    /// now. Without it, what can be said without the daemon names everything that there is to remove.
    fn del(&self, call: &Call) -> Result<(), Error> {
        let config = Config::of_del(&call.conf);
        let scratch = Scratch::of(&config, &call.attachment);
        let conf = match scratch.read(&call.conf) {
            Some(conf) => conf,
            None => render::without_subnet(&call.conf, &config)?,
        };
        Delegate::of(&conf, &call.path)?.del(&Call { conf, ..call.clone() })?;
        scratch.remove()
    }

    fn check(&self, call: &Call) -> Result<(), Error> {
        let config = Config::parse(&call.conf)?;
        let env = SubnetEnv::read(&config.subnet_file)?;
        let now = render::whole(&call.conf, &config, &env)?;
        let conf = Scratch::of(&config, &call.attachment).read(&call.conf).unwrap_or(now.clone());
        let changed = render::differences(&conf, &now);
        if !changed.is_empty() {
            let msg = format!(
                "{} was attached with another configuration than {} and the network's ask for now: {}",
                call.attachment,
                config.subnet_file.display(),
                changed.join("; ")
            );
            return Err(Error::new(Code::CHECK, msg).details("a container made anew gets it"));
        }
        Delegate::of(&conf, &call.path)?.check(&Call { conf, ..call.clone() })
    }

    fn gc(&self, call: &GcCall) -> Result<(), Error> {
        let config = Config::of_del(&call.conf);
        let conf = render::without_subnet(&call.conf, &config)?;
        let mut errors = Vec::new();
        let collected = Delegate::of(&conf, &call.path)
            .and_then(|delegate| delegate.gc(&GcCall { conf, ..call.clone() }));
        errors.extend(collected.err());
        if let Some(valid) = &call.valid {
            errors.extend(scratch::collect(&config, &call.conf.network, valid));
        }
        Error::all(errors)
    }

    fn status(&self, call: &StatusCall) -> Result<(), Error> {
        let unavailable = |e: Error| match e.code {
            Code::TRY_AGAIN | Code::IO | Code::CONFIG => Error { code: Code::NOT_AVAILABLE, ..e },
            _ => e,
        };
        let config = Config::parse(&call.conf)?;
        let env = SubnetEnv::read(&config.subnet_file).map_err(unavailable)?;
        let conf = render::whole(&call.conf, &config, &env)?;
        Delegate::of(&conf, &call.path)
            .map_err(unavailable)?
            .status(&StatusCall { conf, ..call.clone() })
    }
}

fn main() -> ExitCode {
    cni::run(&Flannel)
}
