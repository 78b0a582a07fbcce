//! What a pod is told about the device behind an interface: the files of the Device Information
//! Specification 1.1.0, which the device plugin begins, a CNI plugin completes and Multus puts into
//! the pod's network status.

mod augment;
mod file;

use cni::{Code, Error, Json};
use serde::{Deserialize, Deserializer};

pub use augment::augment;
pub use file::{read, write};

/// The version of the specification that is written.
pub const VERSION: &str = "1.1.0";

/// Information about a device, with what others wrote beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    device: Device,
    tree: Json,
}

/// A device, by the `type` of its information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// `pci`
    Pci(PciInfo),
    /// `vdpa`
    Vdpa(VdpaInfo),
    /// `vhost-user`
    VhostUser(VhostUserInfo),
    /// `memif`
    Memif(MemifInfo),
}

/// A PCI device. Empty texts are the same as missing ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PciInfo {
    /// `0000:01:10.0`
    pub pci_address: String,
    /// The vhost-net character device of the exceptional path.
    #[serde(default, deserialize_with = "full")]
    pub vhost_net: Option<String>,
    /// The RDMA device; several are joined by commas, as the SR-IOV device plugin does.
    #[serde(default, deserialize_with = "full")]
    pub rdma_device: Option<String>,
    /// The address of the physical function.
    #[serde(default, deserialize_with = "full")]
    pub pf_pci_address: Option<String>,
    /// The interface that stands for the VF on the eswitch.
    #[serde(default, deserialize_with = "full")]
    pub representor_device: Option<String>,
}

/// A vDPA device. Empty texts are the same as missing ones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VdpaInfo {
    /// Its name on the vDPA bus: `vdpa3`.
    pub parent_device: String,
    /// Which driver it has.
    pub driver: VdpaDriver,
    /// Its vhost or virtio device. The device plugin leaves it out where it knows none.
    #[serde(default, deserialize_with = "full")]
    pub path: Option<String>,
    /// The PCI device behind it.
    #[serde(default, deserialize_with = "full")]
    pub pci_address: Option<String>,
    /// The address of the physical function.
    #[serde(default, deserialize_with = "full")]
    pub pf_pci_address: Option<String>,
    /// The interface that stands for the VF on the eswitch.
    #[serde(default, deserialize_with = "full")]
    pub representor_device: Option<String>,
}

/// An empty text is none.
fn full<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer).map(|text| text.filter(|text: &String| !text.is_empty()))
}

/// The driver of a vDPA device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VdpaDriver {
    /// `vhost_vdpa`
    Vhost,
    /// `virtio_vdpa`
    Virtio,
}

/// A vhost-user socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VhostUserInfo {
    /// Who makes the socket.
    pub mode: SocketMode,
    /// The socket.
    pub path: String,
}

/// Who makes a vhost-user socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SocketMode {
    /// The host.
    Client,
    /// The container.
    Server,
}

/// A memif socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemifInfo {
    /// Who makes the socket.
    pub role: MemifRole,
    /// The socket.
    pub path: String,
    /// What is sent through it.
    pub mode: MemifMode,
}

/// Who makes a memif socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemifRole {
    /// The container.
    Master,
    /// The host.
    Slave,
}

/// What is sent through a memif socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemifMode {
    /// Frames.
    Ethernet,
    /// IP packets.
    Ip,
    /// Reserved. The client library of the working group writes `punt`.
    #[serde(alias = "punt")]
    InjectPunt,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Pci {
    pci: PciInfo,
}

#[derive(Deserialize)]
struct Vdpa {
    vdpa: VdpaInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct VhostUser {
    vhost_user: VhostUserInfo,
}

#[derive(Deserialize)]
struct Memif {
    memif: MemifInfo,
}

impl DeviceInfo {
    /// Reads the information in `bytes`, which are `what`. Any version that begins with `1.` will do,
    /// and so will none. Codes 6 and 7.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self, Error> {
        Self::from_json(Json::parse(bytes, what)?).map_err(|e| e.while_(what))
    }

    /// The information in a tree, as it stands in a network status. Codes 6 and 7.
    pub fn from_json(tree: Json) -> Result<Self, Error> {
        let head: Head = tree.decode()?;
        if !head.version.is_empty() && !head.version.starts_with("1.") {
            let value = Json::from(head.version);
            return Err(Error::config("version", value, "only version 1 is known")
                .details(format!("{VERSION} is the newest of it")));
        }
        let device = match head.kind.as_str() {
            "pci" => Device::Pci(tree.decode::<Pci>()?.pci),
            "vdpa" => Device::Vdpa(tree.decode::<Vdpa>()?.vdpa),
            "vhost-user" => Device::VhostUser(tree.decode::<VhostUser>()?.vhost_user),
            "memif" => Device::Memif(tree.decode::<Memif>()?.memif),
            "" => return Err(Error::new(Code::CONFIG, "type is missing").details(TYPES)),
            other => {
                let why = "no such type of device information";
                return Err(Error::config("type", Json::from(other), why).details(TYPES));
            }
        };
        Ok(Self { device, tree })
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The whole, with the keys that are nobody's here.
    pub fn tree(&self) -> &Json {
        &self.tree
    }
}

const TYPES: &str = "there are pci, vdpa, vhost-user and memif";

impl From<Device> for DeviceInfo {
    fn from(device: Device) -> Self {
        let mut members = Members::default();
        let kind = match &device {
            Device::Pci(pci) => {
                members.put("pci-address", &pci.pci_address);
                members.put_if("vhost-net", pci.vhost_net.as_ref());
                members.put_if("rdma-device", pci.rdma_device.as_ref());
                members.put_if("pf-pci-address", pci.pf_pci_address.as_ref());
                members.put_if("representor-device", pci.representor_device.as_ref());
                "pci"
            }
            Device::Vdpa(vdpa) => {
                members.put("parent-device", &vdpa.parent_device);
                let driver = match vdpa.driver {
                    VdpaDriver::Vhost => "vhost",
                    VdpaDriver::Virtio => "virtio",
                };
                members.put("driver", driver);
                members.put_if("path", vdpa.path.as_ref());
                members.put_if("pci-address", vdpa.pci_address.as_ref());
                members.put_if("pf-pci-address", vdpa.pf_pci_address.as_ref());
                members.put_if("representor-device", vdpa.representor_device.as_ref());
                "vdpa"
            }
            Device::VhostUser(socket) => {
                let mode = match socket.mode {
                    SocketMode::Client => "client",
                    SocketMode::Server => "server",
                };
                members.put("mode", mode);
                members.put("path", &socket.path);
                "vhost-user"
            }
            Device::Memif(socket) => {
                let role = match socket.role {
                    MemifRole::Master => "master",
                    MemifRole::Slave => "slave",
                };
                let mode = match socket.mode {
                    MemifMode::Ethernet => "ethernet",
                    MemifMode::Ip => "ip",
                    MemifMode::InjectPunt => "inject-punt",
                };
                members.put("role", role);
                members.put("path", &socket.path);
                members.put("mode", mode);
                "memif"
            }
        };
        let tree = Json::Object(vec![
            ("type".to_owned(), kind.into()),
            ("version".to_owned(), VERSION.into()),
            (kind.to_owned(), Json::Object(members.0)),
        ]);
        Self { device, tree }
    }
}

#[derive(Default)]
struct Members(Vec<(String, Json)>);

impl Members {
    fn put(&mut self, key: &str, text: &str) {
        self.0.push((key.to_owned(), text.into()));
    }

    fn put_if(&mut self, key: &str, text: Option<&String>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.put(key, text);
        }
    }
}
