//! A physical function: what has virtual functions.

use crate::{Netdev, PciAddress};

/// A physical function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalFunction {
    /// Its address.
    pub address: PciAddress,
    /// Its own network interface: the uplink, not a representor. `None` when it has no network driver
    /// or its interface is in another namespace.
    pub uplink: Option<Netdev>,
    /// The interfaces that stand for its VFs on the eswitch, with the VF's number; none but in
    /// switchdev mode.
    pub representors: Vec<(u32, Netdev)>,
    /// The VFs it has, by number, which need not be contiguous.
    pub vfs: Vec<(u32, PciAddress)>,
}
