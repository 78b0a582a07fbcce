//! A macvlan device: the container has a hardware address of its own on the parent's network.

use cni::{Error, NetConf};
use kernel::Socket;
use kernel::link::{self, Link, MacvlanMode, New};
use serde::Deserialize;

use super::{Kind, Options, Parent, made};
use crate::ends::Ends;
use crate::finding::Findings;

/// The options of `macvlan`.
#[derive(Debug)]
pub struct Macvlan(link::Macvlan);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    mode: String,
    bcqueuelen: u32,
}

impl Macvlan {
    fn mode(&self) -> MacvlanMode {
        self.0.mode.unwrap_or_default()
    }
}

impl Kind for Macvlan {
    const NAME: &'static str = "macvlan";
    const LINK: &'static str = "macvlan";
    const NEEDS: &'static str = "CONFIG_MACVLAN (module macvlan)";
    const PARENT: Parent = Parent::NamedOrDefault;
    const FLAT: bool = true;
    const ARGS: bool = true;
    const ANNOUNCED: bool = true;

    fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let mode = match raw.mode.as_str() {
            "" => MacvlanMode::default(),
            text => {
                MacvlanMode::ALL.into_iter().find(|mode| mode.word() == text).ok_or_else(|| {
                    let known = "known are bridge, private, vepa and passthru";
                    Error::config("mode", format_args!("{text:?}"), known)
                })?
            }
        };
        let broadcast_queue = (raw.bcqueuelen > 0).then_some(raw.bcqueuelen);
        Ok(Self(link::Macvlan { mode: Some(mode), broadcast_queue }))
    }

    fn create(&self, socket: &Socket, new: &New<'_>) -> Result<(), Error> {
        let outcome = socket.run(link::create_macvlan(new, self.0));
        let is_invalid = outcome.as_ref().is_err_and(|e| e.errno() == libc::EINVAL);
        made::<Self>(outcome).map_err(|e| {
            if !is_invalid {
                return e;
            }
            e.details(
                "the master has to be an Ethernet interface; one that bears an interface of mode \
                 passthru bears no other one",
            )
        })
    }

    fn complete(&self, _: &Ends<'_>, link: &Link, options: &Options) -> Result<(), Error> {
        match (options.mac, link.mac) {
            // To change it would change the master's, for good.
            (Some(wanted), Some(have)) if wanted != have => Err(Error::config(
                "mac",
                wanted,
                &format!("with mode {} it is the master's, {have}", self.mode()),
            )),
            _ => Ok(()),
        }
    }

    fn compare(&self, _: &Ends<'_>, link: &Link, findings: &mut Findings) -> Result<(), Error> {
        let device = link.macvlan.unwrap_or_default();
        if device.mode != Some(self.mode()) {
            let have = device.mode.map_or("another one", MacvlanMode::word);
            findings.add(format!("the mode of {} is {have} instead of {}", link.name, self.mode()));
        }
        if let Some(wanted) = self.0.broadcast_queue
            && device.broadcast_queue.is_some_and(|have| have != wanted)
        {
            let what = format!("the bcqueuelen of {}", link.name);
            findings.compare(&what, &device.broadcast_queue, &Some(wanted));
        }
        Ok(())
    }
}
