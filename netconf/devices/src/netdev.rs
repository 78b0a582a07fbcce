//! A device's network interface.

use std::path::Path;

use cni::Error;

use crate::Port;
use crate::attribute::{self, Base};

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

impl Netdev {
    /// What the port's name says of its place on the eswitch. Without an eswitch it says nothing: a
    /// driver without one may number its ports.
    pub fn eswitch_port(&self) -> Option<Port> {
        let port = self.port_name.as_deref().and_then(Port::parse)?;
        (self.switch.is_some() || !port.is_representor()).then_some(port)
    }

    /// True where the interface stands for another function.
    pub fn is_representor(&self) -> bool {
        self.eswitch_port().is_some_and(Port::is_representor)
    }

    /// Whether it is there still, and what it is. A link that goes or is renamed while it is read is none.
    pub(crate) fn read(directory: &Path, name: &str) -> Result<Option<Self>, Error> {
        let at = directory.join(name);
        let Some(index) = attribute::number(&at.join("ifindex"), Base::Decimal)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            name: name.to_owned(),
            index,
            port: attribute::number(&at.join("dev_port"), Base::Decimal)?.unwrap_or_default(),
            port_name: attribute::text(&at.join("phys_port_name"))?,
            switch: attribute::text(&at.join("phys_switch_id"))?,
        }))
    }

    /// Those in a `net` directory.
    pub(crate) fn list(directory: &Path) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        for name in attribute::names(directory)? {
            all.extend(Self::read(directory, &name)?);
        }
        Ok(all)
    }
}
