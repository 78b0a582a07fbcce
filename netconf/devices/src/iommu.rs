//! IOMMU groups: what is isolated together is given together.

use cni::Error;

use crate::attribute::{self, Base};
use crate::class::is_vfio;
use crate::{Device, PciAddress, Roots};

/// The IOMMU group of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IommuGroup {
    /// Its number.
    pub number: u32,
    /// VFIO without an IOMMU (`vfio-noiommu`): the device can reach all memory.
    pub no_iommu: bool,
    /// Its members on the PCI bus, each with the driver bound to it.
    pub members: Vec<(PciAddress, Option<String>)>,
    /// The members for which VFIO would refuse the group: bound to a driver that is neither of the VFIO
    /// family nor `pci-stub` nor a bridge's.
    pub obstacles: Vec<(PciAddress, String)>,
}

/// PCI classes whose drivers leave the group to VFIO, whatever they are called: bridges (0x0604, CardBus
/// 0x0607). Since Linux 5.19 a driver says so itself (`driver_managed_dma`: pcieport, pci-stub, the VFIO
/// family), before that drivers/vfio/vfio.c, `vfio_dev_driver_allowed`, had the list.
const BRIDGES: [u32; 2] = [0x0604, 0x0607];

impl IommuGroup {
    pub(crate) fn read(roots: &Roots, device: &Device) -> Result<Option<Self>, Error> {
        let link = device.directory.join("iommu_group");
        let Some(name) = attribute::link(&link)? else { return Ok(None) };
        let number = name
            .parse::<u32>()
            .map_err(|_| attribute::malformed(&link, &name, "a link to an IOMMU group"))?;
        let at = roots.sys.join("kernel/iommu_groups").join(number.to_string());
        let mut group = Self {
            number,
            no_iommu: attribute::text(&at.join("name"))?.as_deref() == Some("vfio-noiommu"),
            members: Vec::new(),
            obstacles: Vec::new(),
        };
        for name in attribute::names(&at.join("devices"))? {
            let Ok(address) = name.parse::<PciAddress>() else { continue };
            let Some(directory) = roots.find_pci(address)? else { continue };
            let driver = attribute::link(&directory.join("driver"))?;
            if let Some(driver) = &driver {
                let class = attribute::number::<u32>(&directory.join("class"), Base::Hexadecimal)?;
                let bridge = class.is_some_and(|class| BRIDGES.contains(&(class >> 8)));
                if !bridge && driver != "pci-stub" && !is_vfio(&directory, driver)? {
                    group.obstacles.push((address, driver.clone()));
                }
            }
            group.members.push((address, driver));
        }
        Ok(Some(group))
    }
}
