//! The VLANs that a VF tags itself: its representor carries them as a port of a bridge.

use std::collections::BTreeSet;

use attach::finding::Findings;
use cni::{Code, Error};
use kernel::Socket;
use kernel::link::{self, Link, Vlan};
use serde::{Deserialize, Serialize};

/// The VLANs of a representor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VfTrunk {
    /// The link that stands for the VF on the eswitch.
    pub representor: String,
    /// The VLANs that it is to carry tagged: those that it had not before, so that no others are taken
    /// from it afterwards.
    pub vlans: BTreeSet<u16>,
}

impl VfTrunk {
    /// What a representor lacks of these VLANs. Code 7 when it is no port of a bridge that filters VLANs.
    pub fn lacking(
        socket: &Socket,
        representor: &str,
        vlans: &BTreeSet<u16>,
    ) -> Result<Self, Error> {
        let port = port(socket, representor)?;
        let have = carried(socket, &port)?;
        let vlans = vlans.difference(&have).copied().collect();
        Ok(Self { representor: representor.to_owned(), vlans })
    }

    /// Adds the VLANs.
    pub(super) fn add(&self, socket: &Socket) -> Result<(), Error> {
        let port = port(socket, &self.representor)?;
        let add = |id: &u16| link::add_vlan(port.index, &port.name, Vlan::tagged(*id));
        let requests: Vec<_> = self.vlans.iter().map(add).collect();
        for outcome in socket.run_all(&requests) {
            outcome.map_err(|e| Error::from(e).while_("trunk"))?;
        }
        let have = carried(socket, &port)?;
        match self.vlans.iter().find(|id| !have.contains(id)) {
            None => Ok(()),
            Some(id) => {
                let msg = format!("trunk: {} was given VLAN {id} and lacks it", port.name);
                Err(Error::new(Code::KERNEL, msg))
            }
        }
    }

    /// Takes the VLANs away again, those that are there.
    pub(super) fn remove(&self, socket: &Socket) -> Result<(), Error> {
        let Some(port) = link::get(socket, &self.representor)? else { return Ok(()) };
        let have = carried(socket, &port)?;
        let remove = |id: &u16| link::delete_vlan(port.index, &port.name, *id);
        let requests: Vec<_> = self.vlans.intersection(&have).map(remove).collect();
        for outcome in socket.run_all(&requests) {
            match outcome {
                Err(e) if !e.is_gone() => return Err(Error::from(e).while_("trunk")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds a finding for the VLANs that are missing.
    pub(super) fn compare(&self, socket: &Socket, findings: &mut Findings) -> Result<(), Error> {
        let have = match link::get(socket, &self.representor)? {
            Some(port) => carried(socket, &port)?,
            None => BTreeSet::new(),
        };
        let missing: Vec<String> = self.vlans.difference(&have).map(ToString::to_string).collect();
        if !missing.is_empty() {
            let representor = &self.representor;
            findings.add(format!("{representor} does not carry VLAN {}", missing.join(", ")));
        }
        Ok(())
    }
}

fn port(socket: &Socket, representor: &str) -> Result<Link, Error> {
    let refused = |why: String| {
        Error::new(Code::CONFIG, format!("trunk: {why}")).details(
            "the VF's representor must be a port of a bridge with vlan_filtering 1, which the node's \
             administrator sets up",
        )
    };
    let found = link::get(socket, representor)?;
    let port = found.ok_or_else(|| refused(format!("{representor} does not exist")))?;
    let Some(master) = port.master else {
        return Err(refused(format!("{representor} is a port of no bridge")));
    };
    match link::get_by_index(socket, master)? {
        Some(bridge) if bridge.kind == "bridge" && bridge.vlan_filtering => Ok(port),
        Some(bridge) => {
            let what = match bridge.kind.as_str() {
                "bridge" => "which does not filter VLANs".to_owned(),
                kind => format!("which is no bridge but a link of kind {kind:?}"),
            };
            Err(refused(format!("{representor} is a port of {}, {what}", bridge.name)))
        }
        None => Err(refused(format!("{representor} has a master in another namespace"))),
    }
}

fn carried(socket: &Socket, port: &Link) -> Result<BTreeSet<u16>, Error> {
    Ok(link::list_vlans(socket, port.index)?.into_iter().map(|vlan| vlan.id).collect())
}
