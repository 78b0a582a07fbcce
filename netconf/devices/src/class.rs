//! What drives a device, told by behaviour rather than by a list of names.

use std::path::Path;

use cni::Error;

use crate::attribute;
use crate::device::virtio;

/// The class of a device's driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverClass {
    /// A network driver of the kernel: the device has a network interface, here or in another
    /// namespace.
    Netdev,
    /// A network driver of the kernel that serves programs too (RDMA verbs: mlx5, mana).
    Bifurcated,
    /// `vfio-pci` or a variant of it: programs drive the device, behind the IOMMU.
    Vfio,
    /// `uio_pci_generic`, `igb_uio`: programs drive the device, without an IOMMU.
    Uio,
    /// A driver that only holds the device (`pci-stub`, `pciback`), or of another kind altogether.
    Other,
    /// No driver.
    Unbound,
}

impl DriverClass {
    /// True where a program drives the device and there is no network interface.
    pub fn is_userspace(self) -> bool {
        matches!(self, Self::Vfio | Self::Uio)
    }

    /// One word: `netdev`, `bifurcated`, `vfio`, `uio`, `other`, `unbound`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Netdev => "netdev",
            Self::Bifurcated => "bifurcated",
            Self::Vfio => "vfio",
            Self::Uio => "uio",
            Self::Other => "other",
            Self::Unbound => "unbound",
        }
    }

    /// Of the driver in a device's directory. `network`: the device is a network controller.
    pub(crate) fn of(directory: &Path, driver: Option<&str>, network: bool) -> Result<Self, Error> {
        let has = |name: &str| directory.join(name).is_dir();
        let Some(driver) = driver else {
            // A link without a driver is made by the kernel itself.
            let link = has("net") || directory.join("ifindex").is_file();
            return Ok(if link { Self::Netdev } else { Self::Unbound });
        };
        // The directory stays when the interface in it goes to another namespace
        // (lib/kobject.c, `kobj_ns_ops`: the entry is hidden, not removed).
        if has("net") {
            let verbs = has("infiniband_verbs") || has("infiniband");
            return Ok(if verbs { Self::Bifurcated } else { Self::Netdev });
        }
        if is_vfio(directory, driver)? {
            return Ok(Self::Vfio);
        }
        if has("uio") || part_of(driver, "uio") {
            return Ok(Self::Uio);
        }
        let virtio = virtio(directory)?;
        if !virtio.is_empty() {
            let net = virtio.iter().any(|v| v.join("net").is_dir());
            return Ok(if net { Self::Netdev } else { Self::Other });
        }
        let holds =
            part_of(driver, "stub") || part_of(driver, "pciback") || part_of(driver, "vdpa");
        // A network driver that makes its interface some time after it was bound, as iavf does.
        Ok(if network && !holds { Self::Netdev } else { Self::Other })
    }
}

/// Drivers of VFIO make a character device per device since Linux 6.1 (`vfio-dev`), hold the module
/// `vfio_pci_core` since 5.15, and have all been called after it.
pub fn is_vfio(directory: &Path, driver: &str) -> Result<bool, Error> {
    if directory.join("vfio-dev").is_dir() || part_of(driver, "vfio") {
        return Ok(true);
    }
    // /sys/bus/pci/drivers/DRIVER/module -> /sys/module/MODULE, whose users of a lower module are
    // listed there.
    let module = directory.join("driver/module");
    Ok(attribute::link(&module)?.is_some() && holders(&module)?)
}

fn holders(module: &Path) -> Result<bool, Error> {
    let Ok(at) = module.canonicalize() else { return Ok(false) };
    let (Some(modules), Some(name)) = (at.parent(), at.file_name().and_then(|n| n.to_str())) else {
        return Ok(false);
    };
    let users = attribute::names(&modules.join("vfio_pci_core/holders"))?;
    Ok(users.iter().any(|user| user == name))
}

/// True where a driver's name has a word: `hisi_acc_vfio_pci` and `pds-vfio-pci` have `vfio`.
fn part_of(driver: &str, word: &str) -> bool {
    driver.split(['-', '_']).any(|part| part == word)
}
