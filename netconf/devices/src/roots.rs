//! Where sysfs and the device nodes are, and what is asked of them.

use std::io;
use std::path::{Path, PathBuf};

use cni::{Code, Error};

use crate::attribute::{self, Base, quoted};
use crate::device::NETWORK;
use crate::place::place;
use crate::{Device, DeviceId, IommuGroup, LinkName, Nodes, PciAddress, PhysicalFunction};

/// Where sysfs and the device nodes are. Fixtures can stand in for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`
    pub sys: PathBuf,
    /// `/dev`
    pub dev: PathBuf,
}

/// The machine's.
impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), dev: "/dev".into() }
    }
}

impl Roots {
    /// The machine's. In builds with debug assertions, which are never shipped, `PODWIRE_SYS` and
    /// `PODWIRE_DEV` of the environment replace them, for tests of whole executables.
    pub fn system() -> Self {
        let machine = Self::default();
        if !cfg!(debug_assertions) {
            return machine;
        }
        let other = |key| std::env::var_os(key).map(PathBuf::from);
        Self {
            sys: other("PODWIRE_SYS").unwrap_or(machine.sys),
            dev: other("PODWIRE_DEV").unwrap_or(machine.dev),
        }
    }

    /// The device of an id; of a link's name the PCI or auxiliary device behind it, where there is one.
    /// Code 7 when there is none, with what is there instead; code 11 while it is
    /// being made or removed.
    pub fn device(&self, id: &DeviceId) -> Result<Device, Error> {
        match id {
            DeviceId::Pci(address) => Device::read(self, id.clone(), self.pci(*address)?),
            DeviceId::Aux(name) => match self.bus("auxiliary", name.as_str())? {
                Some(directory) => Device::read(self, id.clone(), directory),
                None => Err(missing(id, &self.listed("bus/auxiliary/devices"))),
            },
            DeviceId::Link(name) => {
                let (id, directory) = self.place_of_link(name)?;
                Device::read(self, id, directory)
            }
        }
    }

    /// The device at a path below `/sys/devices`: its own directory, or one of its virtio device's or of
    /// its network interfaces'. Links and `..` are resolved, and the place is judged afterwards. Code 7,
    /// with the option's name, `kernelpath`.
    pub fn device_at(&self, path: &Path) -> Result<Device, Error> {
        let refused = |why: &str| {
            let msg = format!("kernelpath {}: {why}", quoted(&path.to_string_lossy()));
            let mend = format!(
                "write a device's directory below {}, as `readlink -f /sys/class/net/NAME/device` prints it",
                self.sys.join("devices").display()
            );
            Error::new(Code::CONFIG, msg).details(mend)
        };
        if !path.is_absolute() {
            return Err(refused("it does not begin with /"));
        }
        let at = match path.canonicalize() {
            Ok(at) => at,
            Err(e) => return Err(refused(&e.to_string())),
        };
        if at == self.devices()? || !at.starts_with(self.devices()?) {
            return Err(refused("it leads elsewhere"));
        }
        match place(&at)? {
            Some((id, directory)) => Device::read(self, id, directory),
            None => Err(refused("there is no device with a network interface")),
        }
    }

    /// The device behind a network interface of the own namespace; `None` for a link that is of neither
    /// the PCI nor the auxiliary bus: a virtual one, a USB adapter. Code 7 when there is no such link.
    pub fn device_of_link(&self, name: &str) -> Result<Option<Device>, Error> {
        match self.place_of_link(&name.parse()?)? {
            (DeviceId::Link(_), _) => Ok(None),
            (id, directory) => Device::read(self, id, directory).map(Some),
        }
    }

    /// A physical function with its VFs. Code 7.
    pub fn physical_function(&self, pf: PciAddress) -> Result<PhysicalFunction, Error> {
        PhysicalFunction::read(self, pf)
    }

    /// The IOMMU group of a device, `None` where the machine has no IOMMU and for what is not of the PCI
    /// bus.
    pub fn iommu_group(&self, device: &Device) -> Result<Option<IommuGroup>, Error> {
        IommuGroup::read(self, device)
    }

    /// The device nodes of a device.
    pub fn nodes(&self, device: &Device) -> Result<Nodes, Error> {
        Nodes::read(self, device)
    }

    /// Every device of the PCI bus of class network (0x02) and every subfunction and other device of the
    /// auxiliary bus that has a network interface, in the order of their ids; and the errors of those that
    /// could not be read. Devices that vanish meanwhile are left out.
    pub fn network_devices(&self) -> Result<(Vec<Device>, Vec<Error>), Error> {
        let (mut devices, mut errors) = (Vec::new(), Vec::new());
        let mut take = |device: Result<Option<Device>, Error>| match device {
            Ok(device) => devices.extend(device),
            Err(e) => errors.push(e),
        };
        for name in attribute::names(&self.sys.join("bus/pci/devices"))? {
            if let Ok(address) = name.parse() {
                take(self.network_function(address));
            }
        }
        for name in attribute::names(&self.sys.join("bus/auxiliary/devices"))? {
            if let Ok(name) = name.parse() {
                take(self.network_auxiliary(DeviceId::Aux(name)));
            }
        }
        devices.sort_by(|a, b| a.id.cmp(&b.id));
        Ok((devices, errors))
    }

    fn network_function(&self, address: PciAddress) -> Result<Option<Device>, Error> {
        let Some(directory) = self.find_pci(address)? else { return Ok(None) };
        let class = attribute::number::<u32>(&directory.join("class"), Base::Hexadecimal)?;
        if class.is_none_or(|class| class >> 16 != NETWORK) {
            return Ok(None);
        }
        Device::read(self, DeviceId::Pci(address), directory).map(Some)
    }

    fn network_auxiliary(&self, id: DeviceId) -> Result<Option<Device>, Error> {
        let Some(directory) = self.bus("auxiliary", &id.to_string())? else { return Ok(None) };
        if !directory.join("net").is_dir() && !directory.join("sfnum").is_file() {
            return Ok(None);
        }
        Device::read(self, id, directory).map(Some)
    }

    /// The directory of a PCI function. Code 7 when there is none.
    pub(crate) fn pci(&self, address: PciAddress) -> Result<PathBuf, Error> {
        self.find_pci(address)?.ok_or_else(|| {
            let network = |name: &String| {
                let class = self.sys.join("bus/pci/devices").join(name).join("class");
                let class = attribute::number::<u32>(&class, Base::Hexadecimal);
                class.is_ok_and(|c| c.is_some_and(|c| c >> 16 == NETWORK))
            };
            let functions = self.listed("bus/pci/devices");
            let there: Vec<String> = functions.into_iter().filter(network).collect();
            missing(&DeviceId::Pci(address), &there)
        })
    }

    /// The directory of a PCI function, if there is one.
    pub(crate) fn find_pci(&self, address: PciAddress) -> Result<Option<PathBuf>, Error> {
        self.bus("pci", &address.to_string())
    }

    fn bus(&self, bus: &str, name: &str) -> Result<Option<PathBuf>, Error> {
        self.resolve(&self.sys.join("bus").join(bus).join("devices").join(name), name)
    }

    fn place_of_link(&self, name: &LinkName) -> Result<(DeviceId, PathBuf), Error> {
        let id = DeviceId::Link(name.clone());
        let link = self.sys.join("class/net").join(name.as_str());
        let Some(at) = self.resolve(&link, name.as_str())? else {
            return Err(missing(&id, &self.listed("class/net")));
        };
        Ok(place(&at)?.unwrap_or((id, at)))
    }

    /// The names in a directory of links, for an error's words.
    fn listed(&self, directory: &str) -> Vec<String> {
        attribute::names(&self.sys.join(directory)).unwrap_or_default()
    }

    /// Where a link of sysfs leads: below `devices`, to a directory of the same name. What is no link, as
    /// the file `bonding_masters` among the interfaces, is no device.
    fn resolve(&self, link: &Path, name: &str) -> Result<Option<PathBuf>, Error> {
        if link.symlink_metadata().is_ok_and(|metadata| !metadata.is_symlink()) {
            return Ok(None);
        }
        let at = match link.canonicalize() {
            Ok(at) => at,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(attribute::unreadable(link, &e)),
        };
        let own = at.file_name().is_some_and(|own| own == name);
        if own && at.starts_with(self.devices()?) && at.is_dir() {
            return Ok(Some(at));
        }
        let wanted = "a link to the device of that name below /sys/devices";
        Err(attribute::malformed(link, &at.to_string_lossy(), wanted))
    }

    fn devices(&self) -> Result<PathBuf, Error> {
        let path = self.sys.join("devices");
        path.canonicalize().map_err(|e| attribute::unreadable(&path, &e))
    }
}

/// There is no such device, but there are these.
fn missing(id: &DeviceId, there: &[String]) -> Error {
    const SOME: usize = 8;
    let (kind, all) = match id {
        DeviceId::Pci(_) => ("PCI device", "network controllers"),
        DeviceId::Aux(_) => ("auxiliary device", "auxiliary devices"),
        DeviceId::Link(_) => ("network interface", "network interfaces"),
    };
    let listed = there.iter().take(SOME).map(String::as_str).collect::<Vec<_>>().join(", ");
    let details = match there.len() {
        0 => format!("the node has no {all} here"),
        n if n > SOME => format!("{all} here: {listed} and {} more", n - SOME),
        _ => format!("{all} here: {listed}"),
    };
    Error::new(Code::CONFIG, format!("there is no {kind} {id}"))
        .details(details)
        .details("`podwire devices` lists them")
}
