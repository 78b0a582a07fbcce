//! The device nodes by which programs drive a device.

use std::path::{Path, PathBuf};

use cni::Error;

use crate::{Device, DriverClass, Roots, attribute};

/// Device nodes, those that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// `/dev/vfio/vfio` and `/dev/vfio/GROUP` (or `noiommu-GROUP`); none where there is no group's.
    pub vfio: Vec<PathBuf>,
    /// `/dev/iommu` and `/dev/vfio/devices/vfioN` (since 6.6); none where there is no device's.
    pub vfio_cdev: Vec<PathBuf>,
    /// `/dev/uioN`
    pub uio: Vec<PathBuf>,
    /// `/dev/infiniband/{uverbsN,umadN,issmN,rdma_cm}`
    pub rdma: Vec<PathBuf>,
}

impl Nodes {
    /// All of them, VFIO's groups first.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        let all = [&self.vfio, &self.vfio_cdev, &self.uio, &self.rdma];
        all.into_iter().flatten().map(PathBuf::as_path)
    }

    pub(crate) fn read(roots: &Roots, device: &Device) -> Result<Self, Error> {
        let names = |directory: &str| attribute::names(&device.directory.join(directory));
        let node = |directory: &str, name: &str| {
            let path = roots.dev.join(directory).join(name);
            path.symlink_metadata().is_ok().then_some(path)
        };
        let mut nodes = Self::default();
        if device.class == DriverClass::Vfio {
            if let Some(group) = roots.iommu_group(device)? {
                let mut name = group.number.to_string();
                if group.no_iommu {
                    name = format!("noiommu-{name}");
                }
                if let Some(group) = node("vfio", &name) {
                    nodes.vfio = node("vfio", "vfio").into_iter().chain([group]).collect();
                }
            }
            let own: Vec<PathBuf> =
                names("vfio-dev")?.iter().filter_map(|name| node("vfio/devices", name)).collect();
            if !own.is_empty() {
                nodes.vfio_cdev = node("", "iommu").into_iter().chain(own).collect();
            }
        }
        nodes.uio = names("uio")?.iter().filter_map(|name| node("", name)).collect();
        let mut rdma = names("infiniband_verbs")?;
        rdma.extend(names("infiniband_mad")?);
        nodes.rdma = rdma.iter().filter_map(|name| node("infiniband", name)).collect();
        if !nodes.rdma.is_empty() {
            nodes.rdma.extend(node("infiniband", "rdma_cm"));
        }
        Ok(nodes)
    }
}
