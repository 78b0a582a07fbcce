//! A device of a bus.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Sysfs, SysfsLink, link, make, write};

/// A device, to be given what it has step by step.
#[derive(Clone, Debug)]
pub struct SysfsDevice<'a> {
    tree: &'a Sysfs,
    bus: String,
    directory: PathBuf,
}

impl<'a> SysfsDevice<'a> {
    pub(super) fn new(tree: &'a Sysfs, bus: &str, directory: PathBuf) -> Self {
        Self { tree, bus: bus.to_owned(), directory }
    }

    /// Its directory below `devices`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Any attribute, made or overwritten; a line's end is added.
    #[must_use]
    pub fn with(self, name: &str, value: impl Display) -> Self {
        write(&self.directory.join(name), format!("{value}\n"));
        self
    }

    /// Any directory, as `vfio-dev/vfio0` or `uio/uio0`.
    #[must_use]
    pub fn has(self, directory: &str) -> Self {
        make(&self.directory.join(directory));
        self
    }

    /// Its PCI numbers and class: Intel's 82576 is `(0x8086, 0x10c9, 0x020000)`.
    #[must_use]
    pub fn numbers(self, vendor: u16, device: u16, class: u32) -> Self {
        self.with("vendor", format_args!("{vendor:#06x}"))
            .with("device", format_args!("{device:#06x}"))
            .with("class", format_args!("{class:#08x}"))
            .with("numa_node", -1)
    }

    /// Binds a driver, instead of another one or of none.
    #[must_use]
    pub fn driver(self, name: &str) -> Self {
        let driver = self.tree.sys().join("bus").join(&self.bus).join("drivers").join(name);
        make(&driver);
        link(&self.directory.join("driver"), &driver);
        self
    }

    /// The driver is of a module that uses another one (`/sys/module/USED/holders`).
    #[must_use]
    pub fn module(self, name: &str, uses: &str) -> Self {
        let module = self.tree.sys().join("module").join(name);
        make(&module);
        link(&self.tree.sys().join("module").join(uses).join("holders").join(name), &module);
        link(
            &fs::canonicalize(self.directory.join("driver")).expect("a driver").join("module"),
            &module,
        );
        self
    }

    /// A network interface.
    #[must_use]
    pub fn netdev(self, name: &str, index: u32) -> Self {
        self.link(name, index, |link| link)
    }

    /// A network interface that has more than a name.
    #[must_use]
    pub fn link(self, name: &str, index: u32, more: impl FnOnce(SysfsLink) -> SysfsLink) -> Self {
        let _ = more(SysfsLink::new(self.tree, &self.directory.join("net"), name, index));
        self
    }

    /// RDMA: a device and its verbs, with the node.
    #[must_use]
    pub fn rdma(self, name: &str, verbs: &str) -> Self {
        self.tree.node(&format!("infiniband/{verbs}"));
        self.has(&format!("infiniband/{name}")).has(&format!("infiniband_verbs/{verbs}"))
    }

    /// It can have VFs, and has none yet.
    #[must_use]
    pub fn total_vfs(self, total: u32) -> Self {
        self.with("sriov_totalvfs", total).with("sriov_numvfs", 0)
    }

    /// Makes a function one of its VFs.
    #[must_use]
    pub fn virtual_function(self, number: u32, vf: &SysfsDevice<'_>) -> Self {
        link(&self.directory.join(format!("virtfn{number}")), &vf.directory);
        link(&vf.directory.join("physfn"), &self.directory);
        let entries = fs::read_dir(&self.directory).expect("the device");
        let vfs = entries.filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().starts_with("virtfn")
        });
        let count = vfs.count();
        self.with("sriov_numvfs", count)
    }
}
