//! The VLANs of a container's port, and the interface that is the gateway of one.

use std::collections::BTreeSet;

use cni::{Code, Error, IfName};
use kernel::Socket;
use kernel::link::{self, Link, Veth, Vlan};
use serde::Deserialize;

use crate::{owner, router};

/// The VLAN ids that 802.1Q leaves to users.
const IDS: std::ops::RangeInclusive<i64> = 1..=4094;

/// An element of `vlanTrunk` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawTrunk {
    id: Option<i64>,
    #[serde(rename = "minID")]
    min_id: Option<i64>,
    #[serde(rename = "maxID")]
    max_id: Option<i64>,
}

/// What a port carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortVlans {
    /// The VLAN of untagged frames.
    native: u16,
    /// `native` was asked for by `vlan`, so the gateway is inside it.
    access: bool,
    /// The tagged VLANs beside it.
    tagged: BTreeSet<u16>,
    /// What the bridge gives every new port stays.
    preserve_default: bool,
}

impl PortVlans {
    /// `vlan`, `vlanTrunk` and `preserveDefaultVlan`; `None` when neither of the first two is used.
    /// A trunk without `vlan` has VLAN 1 for untagged frames, as in the reference.
    pub fn parse(
        vlan: i64,
        trunk: &[RawTrunk],
        preserve_default: bool,
    ) -> Result<Option<Self>, Error> {
        if vlan != 0 && !IDS.contains(&vlan) {
            return Err(Error::config("vlan", vlan, "a VLAN id is 1 to 4094, 0 for none"));
        }
        if vlan == 0 && trunk.is_empty() {
            return Ok(None);
        }
        let mut tagged = BTreeSet::new();
        for (index, element) in trunk.iter().enumerate() {
            tagged.extend(element.ids(index)?);
        }
        let native = if vlan == 0 { 1 } else { u16::try_from(vlan).unwrap_or(1) };
        tagged.remove(&native);
        Ok(Some(Self { native, access: vlan != 0, tagged, preserve_default }))
    }

    /// The VLAN that the gateway is in, when `vlan` asks for one.
    pub fn gateway_vlan(&self) -> Option<u16> {
        self.access.then_some(self.native)
    }

    /// The VLANs of the port of a bridge whose default is `default_pvid`.
    pub fn wanted(&self, default_pvid: u16) -> BTreeSet<Vlan> {
        let mut all: BTreeSet<_> = self.tagged.iter().map(|id| Vlan::tagged(*id)).collect();
        all.insert(Vlan::access(self.native));
        if self.preserve_default && default_pvid != 0 && default_pvid != self.native {
            all.retain(|vlan| vlan.id != default_pvid);
            // It stays untagged but cannot stay the VLAN of incoming frames as well.
            all.insert(Vlan { id: default_pvid, pvid: false, untagged: true });
        }
        all
    }

    /// Gives a new port its VLANs.
    pub fn apply(&self, host: &Socket, bridge: &Link, port: &Link) -> Result<(), Error> {
        set(host, bridge, port, &self.wanted(bridge.default_pvid))
    }
}

impl RawTrunk {
    /// The ids of element `index`.
    fn ids(&self, index: usize) -> Result<Vec<u16>, Error> {
        let check = |key: &str, id: i64| {
            let key = format!("vlanTrunk[{index}].{key}");
            let range = IDS.contains(&id).then(|| u16::try_from(id).ok()).flatten();
            range.ok_or_else(|| Error::config(&key, id, "a VLAN id is 1 to 4094"))
        };
        let mut ids = Vec::new();
        match (self.min_id, self.max_id) {
            (Some(min), Some(max)) => {
                let (low, high) = (check("minID", min)?, check("maxID", max)?);
                if low > high {
                    let key = format!("vlanTrunk[{index}].minID");
                    return Err(Error::config(&key, min, &format!("greater than maxID {max}")));
                }
                ids.extend(low..=high);
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                return Err(Error::new(
                    Code::CONFIG,
                    format!("vlanTrunk[{index}]: minID and maxID go together"),
                ));
            }
        }
        if let Some(id) = self.id {
            ids.push(check("id", id)?);
        }
        if ids.is_empty() {
            return Err(Error::new(
                Code::CONFIG,
                format!("vlanTrunk[{index}]: needs an id, or minID and maxID"),
            ));
        }
        Ok(ids)
    }
}

/// Gives a new port of the bridge these VLANs and takes away the default one, if not among them.
fn set(host: &Socket, bridge: &Link, port: &Link, wanted: &BTreeSet<Vlan>) -> Result<(), Error> {
    if bridge.default_pvid != 0 && wanted.iter().all(|v| v.id != bridge.default_pvid) {
        match host.run(link::delete_vlan(port.index, &port.name, bridge.default_pvid)) {
            // It was never there: the bridge began to filter after the port came.
            Err(e) if e.is_gone() => {}
            other => other?,
        }
    }
    let requests: Vec<_> =
        wanted.iter().map(|v| link::add_vlan(port.index, &port.name, *v)).collect();
    Ok(host.run_all(&requests).into_iter().collect::<Result<(), _>>()?)
}

/// The node's leg in a VLAN of the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanGateway {
    /// Its name, `<bridge>.<vlan>`.
    pub name: IfName,
    /// The VLAN.
    pub vlan: u16,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
}

impl VlanGateway {
    /// Names the leg. Code 7 when the bridge's name leaves no room for the VLAN's number.
    pub fn of(bridge: &IfName, vlan: u16, mtu: Option<u32>) -> Result<Self, Error> {
        match format!("{bridge}.{vlan}").parse() {
            Ok(name) => Ok(Self { name, vlan, mtu }),
            Err(_) => Err(Error::new(
                Code::CONFIG,
                format!("bridge {bridge} and vlan {vlan}: the gateway interface {bridge}.{vlan} would have more than 15 bytes"),
            )
            .details("give the bridge a shorter name")),
        }
    }
}

/// Makes sure that the node has its leg in the VLAN, one end of a veth pair whose other end is an
/// access port, and gives it. It is shared by all containers of the VLAN
/// and stays, as the bridge itself does.
pub fn ensure_gateway(host: &Socket, bridge: &Link, gateway: &VlanGateway) -> Result<Link, Error> {
    let VlanGateway { name, vlan, mtu } = gateway;
    let port_name = owner::gateway_port_name(name);
    let request = link::create_veth(&Veth {
        name: &port_name,
        mac: None,
        master: Some(bridge.index),
        mtu: *mtu,
        peer_name: name.as_str(),
        peer_mac: None,
        peer_netns: None,
    });
    match host.run(request) {
        Err(e) if e.is_exists() => {}
        other => other?,
    }
    let gone = |name: &str| {
        Error::new(Code::TRY_AGAIN, format!("the gateway interface {name} vanished meanwhile"))
    };
    let port = link::get(host, &port_name)?.ok_or_else(|| gone(&port_name))?;
    let leg = link::get(host, name.as_str())?.ok_or_else(|| gone(name.as_str()))?;
    if leg.kind != "veth" || leg.peer != Some(port.index) || port.master != Some(bridge.index) {
        return Err(Error::new(
            Code::CONFLICT,
            format!("{name} exists and is not the gateway interface of vlan {vlan}"),
        ));
    }
    set(host, bridge, &port, &BTreeSet::from([Vlan::access(*vlan)]))?;
    if !leg.up {
        router::prepare(name.as_str());
        host.run(link::set_up(leg.index, &leg.name))?;
    }
    Ok(leg)
}

/// The leg as it is, or what is wrong with it in words.
pub fn find_gateway(
    host: &Socket,
    bridge: &Link,
    gateway: &VlanGateway,
) -> kernel::Result<Result<Link, String>> {
    let VlanGateway { name, vlan, .. } = gateway;
    let Some(leg) = link::get(host, name.as_str())? else {
        return Ok(Err(format!("the gateway interface {name} is missing")));
    };
    let port = match leg.peer {
        Some(index) => link::get_by_index(host, index)?,
        None => None,
    };
    let Some(port) = port.filter(|port| port.master == Some(bridge.index)) else {
        return Ok(Err(format!("{name} does not lead to {}", bridge.name)));
    };
    let vlans = link::list_vlans(host, port.index)?;
    if vlans != [Vlan::access(*vlan)] {
        return Ok(Err(format!("{name} leads to the VLANs {vlans:?} instead of {vlan}")));
    }
    Ok(Ok(leg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(id: Option<i64>, min_id: Option<i64>, max_id: Option<i64>) -> RawTrunk {
        RawTrunk { id, min_id, max_id }
    }

    fn ids(vlans: &BTreeSet<Vlan>) -> Vec<(u16, bool, bool)> {
        vlans.iter().map(|v| (v.id, v.pvid, v.untagged)).collect()
    }

    #[test]
    fn an_access_port_carries_its_vlan_alone() {
        let vlans = PortVlans::parse(100, &[], false).unwrap().unwrap();
        assert_eq!(ids(&vlans.wanted(1)), [(100, true, true)]);
        assert_eq!(vlans.gateway_vlan(), Some(100));
    }

    #[test]
    fn a_trunk_without_a_vlan_has_vlan_1_for_untagged_frames() {
        let elements = [trunk(Some(7), None, None), trunk(None, Some(3), Some(4))];
        let vlans = PortVlans::parse(0, &elements, false).unwrap().unwrap();
        let expected = [(1, true, true), (3, false, false), (4, false, false), (7, false, false)];
        assert_eq!(ids(&vlans.wanted(1)), expected);
        assert_eq!(vlans.gateway_vlan(), None);
    }

    #[test]
    fn the_native_vlan_of_a_trunk_stays_untagged_when_the_trunk_lists_it_too() {
        let vlans = PortVlans::parse(3, &[trunk(None, Some(3), Some(4))], false).unwrap().unwrap();
        assert_eq!(ids(&vlans.wanted(1)), [(3, true, true), (4, false, false)]);
    }

    #[test]
    fn the_default_vlan_can_stay() {
        let vlans = PortVlans::parse(100, &[], true).unwrap().unwrap();
        assert_eq!(ids(&vlans.wanted(1)), [(1, false, true), (100, true, true)]);
        assert_eq!(ids(&vlans.wanted(0)), [(100, true, true)]);
    }

    #[test]
    fn what_is_out_of_range_or_half_given_is_named() {
        let message =
            |vlan, elements: &[RawTrunk]| PortVlans::parse(vlan, elements, false).unwrap_err().msg;
        assert!(message(5000, &[]).contains("vlan 5000"));
        assert!(message(-1, &[]).contains("vlan -1"));
        let second = |t| message(0, &[trunk(Some(1), None, None), t]);
        assert!(second(trunk(Some(4095), None, None)).contains("vlanTrunk[1].id 4095"));
        assert!(second(trunk(None, Some(0), Some(5))).contains("vlanTrunk[1].minID 0"));
        assert!(second(trunk(None, Some(9), Some(5))).contains("vlanTrunk[1].minID 9"));
        assert!(second(trunk(None, Some(9), None)).contains("minID and maxID go together"));
        assert!(second(trunk(None, None, None)).contains("needs an id"));
        assert_eq!(PortVlans::parse(0, &[], false).unwrap(), None);
    }
}
