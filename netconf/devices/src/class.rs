//! What drives a device, told by behaviour rather than by a list of names.

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
}
