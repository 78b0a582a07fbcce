//! A device and what is known of it.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cni::{Code, Error};

use crate::attribute::{self, Base};
use crate::{DeviceId, DriverClass, Netdev, PciAddress, Roots, physical};

/// A device of the PCI or the auxiliary bus, or a link that is of neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name on its bus.
    pub id: DeviceId,
    /// Differs when the device was removed and made anew, as VFs are by `sriov_numvfs`: the inode
    /// of its sysfs directory, which the kernel does not use again.
    pub incarnation: u64,
    /// Its directory below `/sys/devices`, links resolved.
    pub directory: PathBuf,
    /// The driver bound to it.
    pub driver: Option<String>,
    /// What that driver does.
    pub class: DriverClass,
    /// Its own network interfaces, the lowest port first, without representors; none while they are in
    /// other namespaces.
    pub netdevs: Vec<Netdev>,
    /// Of which PF it is a virtual function.
    pub vf: Option<VfOf>,
    /// Of which function it is a subfunction.
    pub sf: Option<SfOf>,
    /// How many VFs it has itself, `None` where it can have none (`sriov_totalvfs`).
    pub vfs: Option<u32>,
    /// Its RDMA devices.
    pub rdma: Vec<String>,
    /// Its PCI vendor and device numbers; for a device of the auxiliary bus those of its parent.
    pub vendor: Option<(u16, u16)>,
    /// Its PCI class, as 0x020000 (Ethernet).
    pub pci_class: Option<u32>,
    /// Its NUMA node, `None` where the machine does not tell (-1).
    pub numa_node: Option<u32>,
}

/// A virtual function's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VfOf {
    /// The physical function.
    pub pf: PciAddress,
    /// The VF's number.
    pub index: u32,
}

/// A subfunction's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SfOf {
    /// The PCI function that it was carved out of: a PF or a VF.
    pub parent: PciAddress,
    /// The number that it was made with (`devlink port add ... sfnum`); `None` where the driver does not
    /// tell.
    pub number: Option<u32>,
}

/// The PCI class of network controllers, of which the lower two bytes tell the kind.
pub const NETWORK: u32 = 0x02;

impl Device {
    /// True for a network controller.
    pub fn is_network(&self) -> bool {
        self.pci_class.is_some_and(|class| class >> 16 == NETWORK)
    }

    /// All there is to read in a directory that is known to be the device's.
    pub(crate) fn read(roots: &Roots, id: DeviceId, directory: PathBuf) -> Result<Self, Error> {
        let incarnation = match directory.metadata() {
            Ok(metadata) => metadata.ino(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let msg = format!("device {id} has gone from {}", directory.display());
                return Err(Error::new(Code::TRY_AGAIN, msg));
            }
            Err(e) => return Err(attribute::unreadable(&directory, &e)),
        };
        let driver = attribute::link(&directory.join("driver"))?;
        let interfaces = match &id {
            DeviceId::Link(name) => interfaces_of_link(&directory, name.as_str())?,
            DeviceId::Pci(_) | DeviceId::Aux(_) => interfaces(&directory)?,
        };
        // A subfunction has no numbers of its own.
        let function = match &id {
            DeviceId::Pci(_) => Some(directory.as_path()),
            DeviceId::Aux(_) | DeviceId::Link(_) => parent_function(&directory).map(|p| p.1),
        };
        let of_function = |name, base| match function {
            Some(function) => attribute::number::<u32>(&function.join(name), base),
            None => Ok(None),
        };
        let half = |number: Option<u32>| number.and_then(|n| u16::try_from(n).ok());
        let vendor = half(of_function("vendor", Base::Hexadecimal)?);
        let product = half(of_function("device", Base::Hexadecimal)?);
        let pci_class = of_function("class", Base::Hexadecimal)?;
        let numa_node = match function {
            Some(f) => attribute::number::<i32>(&f.join("numa_node"), Base::Decimal)?,
            None => None,
        };
        let sf = match &id {
            DeviceId::Aux(_) => parent_function(&directory).map(|p| p.0),
            DeviceId::Pci(_) | DeviceId::Link(_) => None,
        };
        let sf = match sf {
            Some(parent) => Some(SfOf {
                parent,
                number: attribute::number(&directory.join("sfnum"), Base::Decimal)?,
            }),
            None => None,
        };
        let (vf, vfs) = match id {
            DeviceId::Pci(address) => {
                (physical::vf_of(roots, address, &directory)?, physical::vf_count(&directory)?)
            }
            DeviceId::Aux(_) | DeviceId::Link(_) => (None, None),
        };
        let network = matches!(id, DeviceId::Aux(_) | DeviceId::Link(_))
            || pci_class.is_some_and(|class| class >> 16 == NETWORK);
        Ok(Self {
            class: DriverClass::of(&directory, driver.as_deref(), network)?,
            id,
            incarnation,
            driver,
            netdevs: interfaces.into_iter().filter(|n| !n.is_representor()).collect(),
            vf,
            sf,
            vfs,
            rdma: attribute::names(&directory.join("infiniband"))?,
            vendor: vendor.zip(product),
            pci_class,
            numa_node: numa_node.and_then(|node| u32::try_from(node).ok()),
            directory,
        })
    }
}

/// Every network interface of a device, representors too, the lowest port first: its own, or its virtio
/// device's.
pub fn interfaces(directory: &Path) -> Result<Vec<Netdev>, Error> {
    let mut all = Netdev::list(&directory.join("net"))?;
    for virtio in virtio(directory)? {
        all.extend(Netdev::list(&virtio.join("net"))?);
    }
    all.sort_by_key(|netdev| (netdev.port, netdev.index));
    Ok(all)
}

/// That of a link of neither bus, whose directory is its own or its device's.
fn interfaces_of_link(directory: &Path, name: &str) -> Result<Vec<Netdev>, Error> {
    let group = match directory.parent() {
        Some(group) if directory.file_name().is_some_and(|own| own == name) => group.to_owned(),
        _ => directory.join("net"),
    };
    Ok(Netdev::read(&group, name)?.into_iter().collect())
}

/// The virtio devices behind a PCI function, one on every machine seen.
pub fn virtio(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let numbered =
        |name: &String| name.strip_prefix("virtio").is_some_and(|n| n.parse::<u32>().is_ok());
    let names = attribute::names(directory)?.into_iter().filter(numbered);
    Ok(names.map(|name| directory.join(name)).collect())
}

/// The nearest PCI function above a directory.
fn parent_function(directory: &Path) -> Option<(PciAddress, &Path)> {
    directory.ancestors().skip(1).find_map(|above| {
        let address = above.file_name()?.to_str()?.parse().ok()?;
        Some((address, above))
    })
}
