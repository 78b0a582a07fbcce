//! Devices read from trees that stand in for sysfs.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod class;
mod functions;
mod group;
mod id;
mod malformed;
mod paths;
mod port;

use devices::{Device, DeviceId, Roots};
use testkit::Sysfs;

/// The roots of a tree.
fn roots(tree: &Sysfs) -> Roots {
    Roots { sys: tree.sys(), dev: tree.dev() }
}

/// The device of an id as a device plugin writes it.
fn device(tree: &Sysfs, id: &str) -> Device {
    let id: DeviceId = id.parse().expect("an id");
    roots(tree).device(&id).expect("a device")
}

/// The names of a device's interfaces.
fn names(device: &Device) -> Vec<&str> {
    device.netdevs.iter().map(|netdev| netdev.name.as_str()).collect()
}
