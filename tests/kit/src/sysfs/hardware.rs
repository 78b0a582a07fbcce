//! Cards as their drivers show them.

use super::{Sysfs, SysfsDevice};

/// Ethernet controller.
const ETHERNET: u32 = 0x02_0000;

/// The VFs' addresses of a card at `0000:BB:00.0`: `0000:BB:10.0`, `.2`, `.4`... as those of an 82576.
fn vf_address(pf: &str, number: u32) -> String {
    let bus = pf.rsplit_once(':').expect("a PCI address").0;
    format!("{bus}:{:02x}.{:x}", 0x10 + number * 2 / 8, number * 2 % 8)
}

impl Sysfs {
    /// An Intel 82576 with VFs, each with its interface: PF `NAME`, VFs `NAMEv0`, `NAMEv1`... Their indexes
    /// follow the PF's.
    pub fn igb(&self, address: &str, name: &str, index: u32, vfs: u32) -> SysfsDevice<'_> {
        let pf = self.pci(address).numbers(0x8086, 0x10c9, ETHERNET).driver("igb");
        let numbers = (0x8086, 0x10ca);
        self.with_vfs(pf.total_vfs(7).netdev(name, index), numbers, "igbvf", (name, index), vfs)
    }

    /// An Intel E810 with VFs.
    pub fn ice(&self, address: &str, name: &str, index: u32, vfs: u32) -> SysfsDevice<'_> {
        let pf = self.pci(address).numbers(0x8086, 0x1592, ETHERNET).driver("ice");
        let numbers = (0x8086, 0x1889);
        self.with_vfs(pf.total_vfs(64).netdev(name, index), numbers, "iavf", (name, index), vfs)
    }

    /// A `ConnectX-5` with VFs in legacy mode: RDMA devices all over, and an uplink that is named.
    pub fn mlx5(&self, address: &str, name: &str, index: u32, vfs: u32) -> SysfsDevice<'_> {
        let pf = self.pci(address).numbers(0x15b3, 0x1017, ETHERNET).driver("mlx5_core");
        let pf = pf
            .total_vfs(8)
            .link(name, index, |link| link.with("phys_port_name", "p0"))
            .rdma("mlx5_0", "uverbs0");
        let pf = self.with_vfs(pf, (0x15b3, 0x1018), "mlx5_core", (name, index), vfs);
        for number in 0..vfs {
            let rdma = number + 1;
            let _ = self
                .pci(&vf_address(address, number))
                .rdma(&format!("mlx5_{rdma}"), &format!("uverbs{rdma}"));
        }
        pf
    }

    /// The same in switchdev mode: the VFs' representors `NAMEr0`, `NAMEr1`... are the PF's interfaces, too,
    /// with indexes below the uplink's, as after a change of mode.
    pub fn mlx5_switchdev(
        &self,
        address: &str,
        name: &str,
        index: u32,
        vfs: u32,
    ) -> SysfsDevice<'_> {
        const SWITCH: &str = "50a6b5000300e4f2";
        let mut pf =
            self.mlx5(address, name, index, vfs).link(name, index, |link| link.port("p0", SWITCH));
        for number in 0..vfs {
            pf = pf.link(&format!("{name}r{number}"), index - vfs + number, |link| {
                link.port(&format!("pf0vf{number}"), SWITCH)
            });
        }
        pf
    }

    /// A virtio NIC.
    pub fn virtio(&self, address: &str, name: &str, index: u32) -> SysfsDevice<'_> {
        let function = self.pci(address).numbers(0x1af4, 0x1041, ETHERNET).driver("virtio-pci");
        let _ = self
            .device("virtio", &function.directory().join("virtio2"))
            .driver("virtio_net")
            .netdev(name, index);
        function
    }

    /// A subfunction of a function, with its interface.
    pub fn subfunction(
        &self,
        parent: &SysfsDevice<'_>,
        name: &str,
        number: u32,
        netdev: (&str, u32),
    ) -> SysfsDevice<'_> {
        self.auxiliary(parent, name)
            .driver("mlx5_core.sf")
            .with("sfnum", number)
            .netdev(netdev.0, netdev.1)
    }

    fn with_vfs<'a>(
        &'a self,
        mut pf: SysfsDevice<'a>,
        (vendor, device): (u16, u16),
        driver: &str,
        (name, index): (&str, u32),
        vfs: u32,
    ) -> SysfsDevice<'a> {
        let address =
            pf.directory().file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        for number in 0..vfs {
            let vf = self
                .pci(&vf_address(&address, number))
                .numbers(vendor, device, ETHERNET)
                .driver(driver)
                .netdev(&format!("{name}v{number}"), index + 1 + number);
            pf = pf.virtual_function(number, &vf);
        }
        pf
    }
}
