//! What is told of a device. README.md describes the JSON.

use std::path::PathBuf;

use devices::{Device, DeviceId, IommuGroup, Nodes, PciAddress};
use serde::Serialize;

use super::holders::Process;
use super::names;
use super::owner::Owner;

/// A device.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// With its bus: `pci:0000:01:10.0`.
    pub id: DeviceId,
    pub kind: Kind,
    /// The function that a VF or SF belongs to.
    pub parent: Option<PciAddress>,
    /// Which VF or SF of it.
    pub number: Option<u32>,
    /// How many VFs a PF has.
    pub vfs: Option<u32>,
    pub vendor: Option<Named>,
    pub device: Option<Named>,
    pub driver: Option<String>,
    pub class: Option<&'static str>,
    pub interfaces: Vec<Interface>,
    pub rdma: Vec<String>,
    pub numa_node: Option<u32>,
    pub iommu_group: Option<Group>,
    pub nodes: Vec<PathBuf>,
    pub owner: Option<Owner>,
    /// Who has its nodes open.
    pub opened_by: Vec<Process>,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Has VFs, or could.
    Pf,
    Vf,
    Sf,
    /// Any other function.
    Function,
    /// There is a record of it, but it is not on these buses now.
    Unseen,
}

/// A number of the PCI ID repository.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// Four hexadecimal digits.
    pub id: String,
    pub name: Option<&'static str>,
}

/// A network interface.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    pub name: String,
    pub index: u32,
    pub port: u32,
    pub port_name: Option<String>,
}

/// An IOMMU group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub number: u32,
    pub no_iommu: bool,
    pub members: Vec<PciAddress>,
    /// Members for which VFIO would refuse it.
    pub obstacles: Vec<PciAddress>,
}

impl Entry {
    pub fn of(
        device: &Device,
        group: Option<&IommuGroup>,
        nodes: &Nodes,
        owner: Option<Owner>,
    ) -> Self {
        let (kind, parent, number) = match (device.vf, device.sf, device.vfs) {
            (Some(vf), _, _) => (Kind::Vf, Some(vf.pf), Some(vf.index)),
            (None, Some(sf), _) => (Kind::Sf, Some(sf.parent), sf.number),
            (None, None, Some(_)) => (Kind::Pf, None, None),
            (None, None, None) => (Kind::Function, None, None),
        };
        let interface = |netdev: &devices::Netdev| Interface {
            name: netdev.name.clone(),
            index: netdev.index,
            port: netdev.port,
            port_name: netdev.port_name.clone(),
        };
        Self {
            kind,
            parent,
            number,
            vfs: device.vfs,
            vendor: device.vendor.map(|(vendor, _)| Named {
                id: format!("{vendor:04x}"),
                name: names::vendor(vendor),
            }),
            device: device.vendor.map(|(vendor, product)| Named {
                id: format!("{product:04x}"),
                name: names::device(vendor, product),
            }),
            driver: device.driver.clone(),
            class: Some(device.class.as_str()),
            interfaces: device.netdevs.iter().map(interface).collect(),
            rdma: device.rdma.clone(),
            numa_node: device.numa_node,
            iommu_group: group.map(|group| Group {
                number: group.number,
                no_iommu: group.no_iommu,
                members: group.members.iter().map(|(address, _)| *address).collect(),
                obstacles: group.obstacles.iter().map(|(address, _)| *address).collect(),
            }),
            nodes: nodes.iter().map(PathBuf::from).collect(),
            owner,
            ..Self::unseen(&device.id, None)
        }
    }

    /// A device of which there is a record alone.
    pub fn unseen(id: &DeviceId, owner: impl Into<Option<Owner>>) -> Self {
        Self {
            id: id.clone(),
            kind: Kind::Unseen,
            parent: None,
            number: None,
            vfs: None,
            vendor: None,
            device: None,
            driver: None,
            class: None,
            interfaces: Vec::new(),
            rdma: Vec::new(),
            numa_node: None,
            iommu_group: None,
            nodes: Vec::new(),
            owner: owner.into(),
            opened_by: Vec::new(),
        }
    }
}
