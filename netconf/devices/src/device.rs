//! A device and what is known of it.

use std::path::PathBuf;

use crate::{DeviceId, DriverClass, Netdev, PciAddress};

/// A device of the PCI or the auxiliary bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name on its bus.
    pub id: DeviceId,
    /// Differs when the device was removed and made anew, as VFs are by `sriov_numvfs`: the inode
    /// of its sysfs directory, which the kernel does not use again.
    pub incarnation: u64,
    /// Its directory below `/sys/devices`, links resolved.
    pub directory: PathBuf,
    /// The driver bound to it.
    pub driver: Option<String>,
    /// What that driver does.
    pub class: DriverClass,
    /// Its network interfaces, the lowest port first; none while they are in other namespaces.
    pub netdevs: Vec<Netdev>,
    /// Of which PF it is a virtual function.
    pub vf: Option<VfOf>,
    /// How many VFs it has itself, `None` where it can have none (`sriov_totalvfs`).
    pub vfs: Option<u32>,
    /// Its RDMA devices.
    pub rdma: Vec<String>,
    /// Its PCI vendor and device numbers; for a device of the auxiliary bus those of its parent.
    pub vendor: Option<(u16, u16)>,
    /// Its PCI class, as 0x020000 (Ethernet).
    pub pci_class: Option<u32>,
    /// Its NUMA node, `None` where the machine does not tell (-1).
    pub numa_node: Option<u32>,
}

/// A virtual function's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VfOf {
    /// The physical function.
    pub pf: PciAddress,
    /// The VF's number.
    pub index: u32,
}
