//! A tunnel device that exists, compared with what is planned.

use kernel::link::Link;

use crate::plan::Device;

/// What has to be done to a device that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be mended in place; empty when nothing differs.
    Mend(Vec<Mend>),
    /// It has to be made anew, because of these attributes ("port 4789 instead of 8472"). Allowed
    /// only where the device is ours.
    Remake(Vec<String>),
    /// Something of another kind stands there ("a bridge"). Never touched.
    Foreign(String),
}

/// An attribute that differs and can be changed in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Local address, underlay, learning, path MTU discovery: the kind's own attributes. The text
    /// names them with both values.
    Kind(String),
    /// The hardware address.
    Mac,
    /// The MTU.
    Mtu,
    /// The alias that marks it as ours.
    Alias,
    /// The kernel would make a link-local address.
    AddressGeneration,
    /// It is down.
    Down,
}

/// Compares. `alias` is the mark of our own devices (see `alias`).
pub fn compare(device: &Device, link: &Link, alias: &str) -> Verdict {
    todo!()
}
