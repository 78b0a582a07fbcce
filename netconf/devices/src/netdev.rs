//! A device's network interface.

/// A network interface of a device, as sysfs shows it: only while it is in the network namespace that
/// sysfs was mounted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netdev {
    /// Its name at the moment.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Which port of the device it is (`dev_port`).
    pub port: u32,
    /// What the driver calls the port: `p0` an uplink, `pf0vf3` a representor (`phys_port_name`).
    pub port_name: Option<String>,
    /// The eswitch it belongs to (`phys_switch_id`).
    pub switch: Option<String>,
}
