//! An ipvlan device: the container shares the parent's hardware address.

use cni::{AddResult, Call, Code, Error, IfName, NetConf};
use kernel::Socket;
use kernel::link::{self, IpvlanMode, Link, New};
use serde::Deserialize;

use super::{Kind, Parent, made};
use crate::config;
use crate::ends::Ends;
use crate::finding::Findings;

/// The options of `ipvlan`.
#[derive(Debug)]
pub struct Ipvlan(IpvlanMode);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    mode: String,
}

impl Kind for Ipvlan {
    const NAME: &'static str = "ipvlan";
    const LINK: &'static str = "ipvlan";
    const NEEDS: &'static str = "CONFIG_IPVLAN (module ipvlan)";
    const PARENT: Parent = Parent::NamedOrDefault;
    const FLAT: bool = true;
    const MAC: bool = false;

    fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        if raw.mode.is_empty() {
            return Ok(Self(IpvlanMode::default()));
        }
        let known = IpvlanMode::ALL.into_iter().find(|mode| mode.word() == raw.mode);
        known.map(Self).ok_or_else(|| {
            let value = format!("{:?}", raw.mode);
            Error::config("mode", value, "known are l2, l3 and l3s")
        })
    }

    /// Behind another plugin it is the one interface that that one made.
    fn chained_parent(&self, call: &Call) -> Result<Option<IfName>, Error> {
        let Some(prev) = &call.prev_result else { return Ok(None) };
        match prev.interfaces.as_slice() {
            [only] if !only.name.is_empty() => config::link_name("prevResult", &only.name).map(Some),
            several => Err(Error::new(
                Code::CONFIG,
                format!(
                    "master is not set, and prevResult has {} interfaces in place of the one that it \
                     could be",
                    several.len()
                ),
            )
            .details("name the interface that the container's one is made upon")),
        }
    }

    fn inherited(&self, call: &Call) -> Option<AddResult> {
        let prev = call.prev_result.as_ref().filter(|prev| !prev.ips.is_empty())?;
        let mut result = AddResult { interfaces: Vec::new(), ..prev.clone() };
        for ip in &mut result.ips {
            ip.interface = Some(0);
        }
        Some(result)
    }

    fn create(&self, socket: &Socket, new: &New<'_>) -> Result<(), Error> {
        made::<Self>(socket.run(link::create_ipvlan(new, self.0)))
    }

    fn compare(&self, _: &Ends<'_>, link: &Link, findings: &mut Findings) -> Result<(), Error> {
        if link.ipvlan != Some(self.0) {
            let have = link.ipvlan.map_or("another one", IpvlanMode::word);
            findings.add(format!("the mode of {} is {have} instead of {}", link.name, self.0));
        }
        Ok(())
    }
}
