//! A network interface.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Sysfs, link, make, write};

/// A network interface, to be given what it has step by step.
#[derive(Clone, Debug)]
pub struct SysfsLink {
    directory: PathBuf,
    class: PathBuf,
}

impl SysfsLink {
    pub(super) fn new(tree: &Sysfs, group: &Path, name: &str, index: u32) -> Self {
        let directory = group.join(name);
        make(&directory);
        let class = tree.sys().join("class/net").join(name);
        link(&class, &directory);
        link(&directory.join("subsystem"), &tree.sys().join("class/net"));
        if group.parent().is_some_and(|device| device.join("subsystem").exists()) {
            link(&directory.join("device"), group.parent().expect("a device"));
        }
        Self { directory, class }.with("ifindex", index).with("dev_port", 0)
    }

    /// Any attribute, made or overwritten; a line's end is added.
    #[must_use]
    pub fn with(self, name: &str, value: impl Display) -> Self {
        write(&self.directory.join(name), format!("{value}\n"));
        self
    }

    /// A port of an eswitch: `p0`, `pf0vf3`.
    #[must_use]
    pub fn port(self, name: &str, switch: &str) -> Self {
        self.with("phys_port_name", name).with("phys_switch_id", switch)
    }

    /// It goes to another network namespace: sysfs hides it, and keeps the directory it was in.
    pub fn leave(self) {
        fs::remove_dir_all(&self.directory).expect("the interface");
        fs::remove_file(&self.class).expect("its link");
    }
}
