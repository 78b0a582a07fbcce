//! A TAP device: the other end is a process, a virtual machine monitor for one.

mod labelled;

pub use labelled::run as run_labelled;

use cni::{Error, IfName, NetConf};
use kernel::Socket;
use kernel::link::{self, Link, New};
use serde::Deserialize;

use super::{Kind, Options, Parent, made};
use crate::config;
use crate::ends::Ends;
use crate::finding::Findings;

/// The options of `tap`.
#[derive(Debug)]
pub struct Tap {
    multi_queue: bool,
    owner: Option<u32>,
    group: Option<u32>,
    /// The label of SELinux that the device has.
    label: Option<String>,
    /// A bridge in the container.
    bridge: Option<IfName>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    multi_queue: bool,
    owner: Option<u32>,
    group: Option<u32>,
    selinux_context: String,
    bridge: String,
}

impl Tap {
    fn bridge(&self, inner: &Socket) -> Result<Option<Link>, Error> {
        let Some(name) = &self.bridge else { return Ok(None) };
        let bad = |why| Err(Error::config("bridge", format_args!("{:?}", name.as_str()), why));
        match link::get(inner, name.as_str())? {
            None => bad("there is no such interface in the container"),
            Some(found) if found.kind != "bridge" => bad("the container's interface is no bridge"),
            found => Ok(found),
        }
    }
}

impl Kind for Tap {
    const NAME: &'static str = "tap";
    const LINK: &'static str = "tun";
    const NEEDS: &'static str = "CONFIG_TUN (module tun) and /dev/net/tun";
    const PARENT: Parent = Parent::None;
    /// `IP_MAX_MTU` less an Ethernet header (drivers/net/tun.c).
    const LARGEST_MTU: u32 = 65521;
    const ARGS: bool = true;

    fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let bridge = Some(raw.bridge.as_str()).filter(|name| !name.is_empty());
        let bridge = bridge.map(|name| config::link_name("bridge", name)).transpose()?;
        for (key, id) in [("owner", raw.owner), ("group", raw.group)] {
            if id == Some(u32::MAX) {
                // `INVALID_UID` and `INVALID_GID`.
                return Err(Error::config(key, u32::MAX, "the kernel has no such id"));
            }
        }
        Ok(Self {
            multi_queue: raw.multi_queue,
            owner: raw.owner,
            group: raw.group,
            label: Some(raw.selinux_context).filter(|label| !label.is_empty()),
            bridge,
        })
    }

    fn create(&self, _: &Socket, new: &New<'_>) -> Result<(), Error> {
        let tap = link::Tap {
            name: new.name,
            multi_queue: self.multi_queue,
            owner: self.owner,
            group: self.group,
        };
        if let Some(label) = &self.label {
            return labelled::create(&tap, label, new.netns);
        }
        made::<Self>(match new.netns {
            Some(netns) => netns.enter(|| link::create_tap(&tap)),
            None => link::create_tap(&tap),
        })
    }

    fn complete(&self, ends: &Ends<'_>, link: &Link, options: &Options) -> Result<(), Error> {
        let (index, name) = (link.index, link.name.as_str());
        let bridge = self.bridge(&ends.inner)?;
        let mut requests = Vec::new();
        requests.extend(options.mac.map(|mac| link::set_mac(index, name, mac)));
        requests.extend(options.mtu.map(|mtu| link::set_mtu(index, name, mtu)));
        requests.extend(bridge.map(|bridge| link::set_master(index, name, bridge.index)));
        let outcome: Result<(), _> = ends.inner.run_all(&requests).into_iter().collect();
        outcome.map_err(|e| Error::from(e).while_(format!("in {}", ends.netns.path().display())))
    }

    fn compare(&self, ends: &Ends<'_>, link: &Link, findings: &mut Findings) -> Result<(), Error> {
        let (name, device) = (&link.name, link.tun.unwrap_or_default());
        if !device.tap {
            findings.add(format!("{name} is no TAP device"));
        }
        if !device.persistent {
            findings.add(format!("{name} goes with the process that has it open"));
        }
        findings.compare(&format!("multiQueue of {name}"), &device.multi_queue, &self.multi_queue);
        for (what, have, wanted) in
            [("owner", device.owner, self.owner), ("group", device.group, self.group)]
        {
            if wanted.is_some() && have != wanted {
                findings.add(format!(
                    "the {what} of {name} is {} instead of {}",
                    have.map_or_else(|| "nobody".to_owned(), |id| id.to_string()),
                    wanted.unwrap_or_default(),
                ));
            }
        }
        if let Some(wanted) = &self.bridge {
            let master = match link.master {
                Some(index) => link::get_by_index(&ends.inner, index)?,
                None => None,
            };
            if master.is_none_or(|master| master.name != wanted.as_str()) {
                findings.add(format!("{name} is no port of {wanted}"));
            }
        }
        Ok(())
    }
}
