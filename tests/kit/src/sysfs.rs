//! Trees that stand in for /sys and /dev, for hardware that no machine at hand has.
//!
//! They have the kernel's layout, links included: devices below `devices`, everything else a link to
//! them. `PODWIRE_SYS` and `PODWIRE_DEV` lead a debug build of a plugin there.

mod device;
mod hardware;
mod link;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

pub use device::SysfsDevice;
pub use link::SysfsLink;

/// A sysfs and a /dev of its own, which go when it is dropped.
#[derive(Debug)]
pub struct Sysfs {
    directory: TempDir,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Sysfs {
    /// A machine without any device.
    pub fn new() -> Self {
        let tree = Self { directory: TempDir::with_prefix("sysfs-").expect("a directory") };
        for directory in [
            "sys/bus/pci/devices",
            "sys/bus/pci/drivers",
            "sys/class/net",
            "sys/devices/virtual",
            "dev",
        ] {
            make(&tree.directory.path().join(directory));
        }
        tree
    }

    /// What stands in for `/sys`.
    pub fn sys(&self) -> PathBuf {
        self.directory.path().join("sys")
    }

    /// What stands in for `/dev`.
    pub fn dev(&self) -> PathBuf {
        self.directory.path().join("dev")
    }

    /// The variables that lead a debug build here.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("PODWIRE_SYS", self.sys()), ("PODWIRE_DEV", self.dev())]
    }

    /// A PCI function without a driver, made if there is none of this address: `0000:01:00.0`.
    pub fn pci(&self, address: &str) -> SysfsDevice<'_> {
        let domain = address.split(':').next().expect("a domain");
        let directory = self.sys().join(format!("devices/pci{domain}:00")).join(address);
        self.device("pci", &directory)
    }

    /// A device of the auxiliary bus without a driver, below another device: `mlx5_core.sf.4`.
    pub fn auxiliary(&self, parent: &SysfsDevice<'_>, name: &str) -> SysfsDevice<'_> {
        make(&self.sys().join("bus/auxiliary/devices"));
        self.device("auxiliary", &parent.directory().join(name))
    }

    /// A device of any bus below another one or below `devices`, as an adapter's USB interface.
    pub fn device(&self, bus: &str, directory: &Path) -> SysfsDevice<'_> {
        let device = SysfsDevice::new(self, bus, directory.to_owned());
        if !directory.is_dir() {
            make(directory);
            link(&directory.join("subsystem"), &self.sys().join("bus").join(bus));
            let name = directory.file_name().expect("a name");
            link(&self.sys().join("bus").join(bus).join("devices").join(name), directory);
        }
        device
    }

    /// A link without a device, as a veth's end.
    pub fn virtual_link(&self, name: &str, index: u32) -> SysfsLink {
        SysfsLink::new(self, &self.sys().join("devices/virtual/net"), name, index)
    }

    /// A device node below `/dev`, as `vfio/17`. A plain file serves: nothing opens it.
    pub fn node(&self, name: &str) {
        write(&self.dev().join(name), "");
    }

    /// Any file below `/sys`, made or overwritten.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) {
        write(&self.sys().join(path), content);
    }

    /// The PCI functions of an IOMMU group, with its `name` where it has one.
    pub fn iommu_group(&self, number: u32, name: Option<&str>, members: &[&SysfsDevice<'_>]) {
        let group = self.sys().join(format!("kernel/iommu_groups/{number}"));
        make(&group.join("devices"));
        if let Some(name) = name {
            write(&group.join("name"), format!("{name}\n"));
        }
        for member in members {
            let name = member.directory().file_name().expect("a name");
            link(&group.join("devices").join(name), member.directory());
            link(&member.directory().join("iommu_group"), &group);
        }
    }
}

fn make(directory: &Path) {
    fs::create_dir_all(directory).expect("a directory");
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    make(path.parent().expect("a parent"));
    fs::write(path, content).expect("a file");
}

/// A link relative to where it is, as those of sysfs are.
fn link(at: &Path, to: &Path) {
    let parent = at.parent().expect("a parent");
    make(parent);
    let (from, onto): (Vec<_>, Vec<_>) = (parent.components().collect(), to.components().collect());
    let common = from.iter().zip(&onto).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| Component::ParentDir);
    let target: PathBuf = up.chain(onto[common..].iter().copied()).collect();
    let _ = fs::remove_file(at);
    symlink(target, at).expect("a link");
}
