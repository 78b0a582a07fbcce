//! What an ADD asks for.

use cni::{Dns, Error};
use devices::{Device, DeviceId, DriverClass, Netdev};
use kernel::MacAddr;
use kernel::link::Link;

use crate::record::Record;
use crate::vf::VfWanted;

/// What the configuration calls the device, before anything is looked up: while another container has it,
/// only the journal knows it by these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// Its id.
    pub id: Option<DeviceId>,
    /// The name of its network interface on the host.
    pub name: Option<String>,
    /// The hardware address of its network interface.
    pub mac: Option<MacAddr>,
}

impl Sought {
    /// True when a record is of the device.
    pub fn means(&self, id: &DeviceId, record: &Record) -> bool {
        if let Some(sought) = &self.id {
            return sought == id;
        }
        let Some(was) = &record.original else { return false };
        let by_name = self
            .name
            .as_ref()
            .is_some_and(|name| was.name == *name || was.alternative_names.contains(name));
        by_name || (self.mac.is_some() && was.mac == self.mac)
    }
}

/// A device and what it is to be like in the container.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The device.
    pub device: Device,
    /// Which of its network interfaces: the name it has on the host now. `None` where a program drives
    /// the device.
    pub link: Option<String>,
    /// The interface's hardware address.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// It takes every multicast packet.
    pub all_multicast: Option<bool>,
    /// It takes every packet.
    pub promiscuous: Option<bool>,
    /// What the physical function is to decide about it.
    pub vf: VfWanted,
    /// A setting that the hardware does not know fails the ADD, or is left out with a warning.
    pub on_unsupported: OnUnsupported,
    /// The interface takes its addresses and routes along (`useInterfaceNetwork`).
    pub carry_network: bool,
    /// The interface's name on the host becomes an alternative name in the container, where that is free.
    pub tell_host_name: bool,
    /// A device that the node itself lives by is given away all the same (`force`).
    pub force: bool,
    /// Replaces the resolver that IPAM gave, when anything in it is set.
    pub dns: Dns,
}

impl Wanted {
    /// A device as it is: nothing is asked of it.
    pub fn of(device: Device, link: Option<String>) -> Self {
        Self {
            device,
            link,
            mac: None,
            mtu: None,
            all_multicast: None,
            promiscuous: None,
            vf: VfWanted::default(),
            on_unsupported: OnUnsupported::default(),
            carry_network: false,
            tell_host_name: false,
            force: false,
            dns: Dns::default(),
        }
    }
}

/// A link that is no device's of the PCI or auxiliary bus, as a device. Code 7 for a name that no file
/// should have.
pub fn link_device(link: &Link) -> Result<Device, Error> {
    Ok(Device {
        id: DeviceId::Link(link.name.parse()?),
        incarnation: 0,
        directory: std::path::PathBuf::new(),
        driver: None,
        class: DriverClass::Netdev,
        netdevs: vec![Netdev {
            name: link.name.clone(),
            index: link.index,
            port: 0,
            port_name: None,
            switch: None,
        }],
        vf: None,
        sf: None,
        vfs: None,
        rdma: Vec::new(),
        vendor: None,
        pci_class: None,
        numa_node: None,
    })
}

/// What becomes of a setting that the hardware does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnsupported {
    /// The ADD fails, and takes back what it did.
    #[default]
    Fail,
    /// A warning on stderr, and the rest is done.
    Warn,
}
