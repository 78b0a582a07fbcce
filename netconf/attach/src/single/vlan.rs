//! A VLAN device: the container has the frames of one VLAN of the parent.

use cni::{Error, NetConf};
use kernel::Socket;
use kernel::link::{self, Link, New};
use serde::Deserialize;

use super::{Kind, Parent, made};
use crate::ends::Ends;
use crate::finding::Findings;

/// The largest VLAN (IEEE 802.1Q; 4095 is reserved).
const LARGEST: u16 = 4094;

/// The options of `vlan`.
#[derive(Debug)]
pub struct Vlan(u16);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    vlan_id: i64,
}

impl Kind for Vlan {
    const NAME: &'static str = "vlan";
    const LINK: &'static str = "vlan";
    const NEEDS: &'static str = "CONFIG_VLAN_8021Q (module 8021q)";
    const PARENT: Parent = Parent::Named;
    const ANNOUNCED: bool = true;

    fn parse(conf: &NetConf) -> Result<Self, Error> {
        let raw: Raw = conf.decode()?;
        let id = u16::try_from(raw.vlan_id).ok().filter(|id| *id <= LARGEST);
        id.map(Self).ok_or_else(|| Error::config("vlanId", raw.vlan_id, "a VLAN is 0 to 4094"))
    }

    fn create(&self, socket: &Socket, new: &New<'_>) -> Result<(), Error> {
        made::<Self>(socket.run(link::create_vlan_device(new, self.0)))
            .map_err(|e| e.while_(format!("vlanId {}", self.0)))
    }

    fn compare(&self, _: &Ends<'_>, link: &Link, findings: &mut Findings) -> Result<(), Error> {
        let have = link.vlan_id.unwrap_or_default();
        findings.compare(&format!("the VLAN of {}", link.name), &have, &self.0);
        Ok(())
    }
}
