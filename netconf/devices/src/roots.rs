//! Where sysfs and the device nodes are, and what is asked of them.

use std::path::{Path, PathBuf};

use cni::{Code, Error};

use crate::{Device, DeviceId, IommuGroup, Nodes, PciAddress, PhysicalFunction};

/// Where sysfs and the device nodes are. Fixtures can stand in for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`
    pub sys: PathBuf,
    /// `/dev`
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into() }
    }
}

fn unwritten<T>() -> Result<T, Error> {
    Err(Error::new(Code::IO, "to be written"))
}

impl Roots {
    /// The device of an id. Code 7 when there is none, with what is there instead.
    pub fn device(&self, id: &DeviceId) -> Result<Device, Error> {
        let _ = id;
        unwritten()
    }

    /// The device at a path below `/sys/devices`, links and `..` resolved and judged afterwards.
    /// Code 7.
    pub fn device_at(&self, path: &Path) -> Result<Device, Error> {
        let _ = path;
        unwritten()
    }

    /// The device behind a network interface of the own namespace; `None` for a virtual link.
    pub fn device_of_link(&self, name: &str) -> Result<Option<Device>, Error> {
        let _ = name;
        unwritten()
    }

    /// A physical function with its VFs. Code 7.
    pub fn physical_function(&self, pf: PciAddress) -> Result<PhysicalFunction, Error> {
        let _ = pf;
        unwritten()
    }

    /// The IOMMU group of a device, `None` where the machine has no IOMMU.
    pub fn iommu_group(&self, device: &Device) -> Result<Option<IommuGroup>, Error> {
        let _ = device;
        unwritten()
    }

    /// The device nodes of a device.
    pub fn nodes(&self, device: &Device) -> Result<Nodes, Error> {
        let _ = device;
        unwritten()
    }

    /// Every device of the PCI bus of class network (0x02) and every device of the auxiliary bus that
    /// has or could have a network interface.
    pub fn network_devices(&self) -> Result<Vec<Device>, Error> {
        unwritten()
    }
}
