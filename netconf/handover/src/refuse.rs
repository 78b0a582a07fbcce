//! Devices that are not given away, because the node or other containers live by them.

use cni::{Code, Error};
use devices::{Device, DriverClass, Roots};
use kernel::Socket;
use kernel::link::{self, Link};
use kernel::route;

/// The main table.
const MAIN: u32 = 254;

/// Refuses an interface that the node lives by: the default routes', a master's port, one that other links
/// are made upon. Code 7. `force` lets all but `lo` pass.
pub fn needed(host: &Socket, link: &Link, force: bool) -> Result<(), Error> {
    let name = &link.name;
    let refuse = |why: String, mend: &str| {
        Err(Error::new(Code::CONFIG, format!("{name} is not given away: {why}")).details(mend))
    };
    if link.index == 1 {
        return refuse(
            "it is the node's loopback interface".to_owned(),
            "every namespace has one of its own; the plugin loopback sets it up",
        );
    }
    if force {
        return Ok(());
    }
    if let Some(master) = link.master {
        let master = link::get_by_index(host, master)?.map_or_else(|| "?".to_owned(), |m| m.name);
        return refuse(
            format!("it is a port of {master}"),
            "take it out of there (ip link set dev NAME nomaster), or set force",
        );
    }
    for ipv6 in [false, true] {
        let routes = route::list(host, link.index, ipv6, MAIN)?;
        if routes.iter().any(|route| route.dst.prefix() == 0) {
            let family = if ipv6 { "IPv6" } else { "IPv4" };
            return refuse(
                format!("the node's {family} default route goes through it"),
                "name another device; with force the node loses that route",
            );
        }
    }
    let upper = link::list(host)?.into_iter().find(|other| other.is_upon(link.index));
    match upper {
        Some(upper) => refuse(
            format!("the {} {} is made upon it", upper.kind, upper.name),
            "remove that one, or set force",
        ),
        None => Ok(()),
    }
}

/// Refuses a physical function whose VFs would lose their uplink. Code 7, whatever `force` says when a
/// program is to drive it.
pub fn has_vfs(device: &Device, force: bool) -> Result<(), Error> {
    match device.vfs {
        Some(count) if count > 0 && !force => Err(Error::new(
            Code::CONFIG,
            format!("{} is not given away: it is a physical function with {count} VFs", device.id),
        )
        .details("give a VF away instead, set sriov_numvfs to 0, or set force")),
        _ => Ok(()),
    }
}

/// Refuses a device that nothing drives in a way that a container can use. Code 7.
pub fn driver(device: &Device) -> Result<(), Error> {
    let id = &device.id;
    let driver = device.driver.as_deref().unwrap_or_default();
    let refuse = |msg: String, mend: &str| Err(Error::new(Code::CONFIG, msg).details(mend));
    match device.class {
        DriverClass::Vfio | DriverClass::Uio => Ok(()),
        DriverClass::Unbound => refuse(
            format!("{id} has no driver"),
            "bind its network driver, or vfio-pci: echo ID > /sys/bus/pci/drivers_probe",
        ),
        DriverClass::Other => refuse(
            format!("{id} is held by the driver {driver}, which makes no network interface"),
            "bind its network driver, or vfio-pci",
        ),
        DriverClass::Netdev | DriverClass::Bifurcated => refuse(
            format!("{id} ({driver}) has no network interface on the node"),
            "it is in another network namespace, which podwire did not put it into, or its driver has \
             not made one",
        ),
    }
}

/// Refuses a device whose group VFIO would refuse, and warns where there is no IOMMU.
pub fn group(roots: &Roots, device: &Device) -> Result<(), Error> {
    if device.class != DriverClass::Vfio {
        return Ok(());
    }
    let Some(group) = roots.iommu_group(device)? else { return Ok(()) };
    if group.no_iommu {
        cni::warn(format_args!(
            "{}: vfio without an IOMMU: the container can reach all of the node's memory",
            device.id
        ));
    }
    if group.obstacles.is_empty() {
        return Ok(());
    }
    let obstacles: Vec<String> = group
        .obstacles
        .iter()
        .map(|(address, driver)| format!("{address} (driver {driver})"))
        .collect();
    Err(Error::new(
        Code::CONFIG,
        format!(
            "{}: VFIO refuses its IOMMU group {} because of {}",
            device.id,
            group.number,
            obstacles.join(", ")
        ),
    )
    .details("bind every device of the group to vfio-pci or to no driver"))
}
