//! The device nodes by which programs drive a device.

use std::path::PathBuf;

/// Device nodes, those that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// `/dev/vfio/vfio` and `/dev/vfio/GROUP` (or `noiommu-GROUP`).
    pub vfio: Vec<PathBuf>,
    /// `/dev/iommu` and `/dev/vfio/devices/vfioN` (since 6.6).
    pub vfio_cdev: Vec<PathBuf>,
    /// `/dev/uioN`
    pub uio: Vec<PathBuf>,
    /// `/dev/infiniband/{uverbsN,umadN,issmN,rdma_cm}`
    pub rdma: Vec<PathBuf>,
}
