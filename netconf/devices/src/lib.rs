//! The devices of a node as sysfs shows them: physical and virtual functions, auxiliary devices
//! (subfunctions), their drivers, network interfaces, IOMMU groups and device nodes. It only reads, and
//! where sysfs and the device nodes are is a parameter ([`Roots`]).
//!
//! What the hardware or the kernel lacks is `None` or empty; what is there but cannot be understood is an
//! error that names the file. Links in sysfs are followed by their last part alone, which is checked: no
//! link and no text of a user leads to a file outside of the roots.

mod attribute;
mod class;
mod device;
mod id;
mod iommu;
mod netdev;
mod nodes;
mod physical;
mod place;
mod port;
mod roots;

pub use class::DriverClass;
pub use device::{Device, SfOf, VfOf};
pub use id::{AuxName, DeviceId, LinkName, PciAddress};
pub use iommu::IommuGroup;
pub use netdev::Netdev;
pub use nodes::Nodes;
pub use physical::PhysicalFunction;
pub use port::Port;
pub use roots::Roots;
