//! What vendors and devices are called, from the PCI ID repository's list as the library brings it.

use pci_ids::{Device, FromId as _, Vendor};

/// `0x8086` is `Intel Corporation`.
pub fn vendor(vendor: u16) -> Option<&'static str> {
    Vendor::from_id(vendor).map(Vendor::name)
}

/// `0x8086`, `0x10ca` is `82576 Virtual Function`.
pub fn device(vendor: u16, device: u16) -> Option<&'static str> {
    Device::from_vid_pid(vendor, device).map(Device::name)
}
