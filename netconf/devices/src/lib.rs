//! The devices of a node as sysfs shows them: physical and virtual functions, auxiliary devices
//! (subfunctions), their drivers, network interfaces, IOMMU groups and device nodes. It only reads, and
//! where sysfs, /dev and /proc are is a parameter ([`Roots`]).

mod class;
mod device;
mod id;
mod iommu;
mod netdev;
mod nodes;
mod physical;
mod roots;

pub use class::DriverClass;
pub use device::{Device, VfOf};
pub use id::{AuxName, DeviceId, PciAddress};
pub use iommu::IommuGroup;
pub use netdev::Netdev;
pub use nodes::Nodes;
pub use physical::PhysicalFunction;
pub use roots::Roots;
