//! The formats in which flannel's parts speak to each other, so that ours can take the place of any of
//! them: the file by which the daemon tells the CNI plugin of the node's subnet ([`SubnetEnv`]), and
//! what a node tells the others ([`Attributes`]), as annotations of a Kubernetes node ([`Keys`]) and
//! as a lease in etcd ([`Lease`], of a [`Network`]'s subnets).

mod annotations;
mod attributes;
mod backend;
mod lease;
mod network;
mod peer;
mod range;
mod subnet_env;

pub use annotations::{Annotations, Keys, PREFIX};
pub use attributes::{Attributes, End};
pub use backend::Backend;
pub use lease::{Lease, Subnet};
pub use network::Network;
pub use peer::Peer;
pub use range::Range;
pub use subnet_env::SubnetEnv;
