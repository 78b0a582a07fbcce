//! IOMMU groups: what is isolated together is given together.

use crate::PciAddress;

/// The IOMMU group of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IommuGroup {
    /// Its number.
    pub number: u32,
    /// VFIO without an IOMMU (`vfio-noiommu`): the device can reach all memory.
    pub no_iommu: bool,
    /// Its members, each with the driver bound to it.
    pub members: Vec<(PciAddress, Option<String>)>,
    /// The members for which VFIO would refuse the group: bound to a driver that is neither of the VFIO
    /// family nor `pci-stub` nor a bridge's.
    pub obstacles: Vec<(PciAddress, String)>,
}
