//! Names of the auxiliary bus.

use std::fmt;
use std::str::FromStr;

use cni::Error;

use super::{DEVICE, refused};

/// The name of a device of the auxiliary bus, as `mlx5_core.sf.4`: module, kind, number
/// (drivers/base/auxiliary.c, `__auxiliary_device_add`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuxName(String);

/// The kernel's own limit is 40 bytes for module and kind (AUXILIARY_NAME_SIZE).
const LONGEST: usize = 64;

impl AuxName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Letters, digits, `_` and `-` in three parts or more, of which the last is a number. Code 7, with
    /// the configuration's key.
    pub fn under(key: &str, text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('.').collect();
        let plain = |p: &&str| {
            !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        };
        let numbered = parts
            .last()
            .is_some_and(|n| n.parse::<u32>().is_ok_and(|number| number.to_string() == **n));
        if text.len() <= LONGEST && parts.len() >= 3 && parts.iter().all(plain) && numbered {
            return Ok(Self(text.to_owned()));
        }
        Err(refused(
            key,
            text,
            "not the name of an auxiliary device",
            "write it as /sys/bus/auxiliary/devices has it: module, kind and number, as mlx5_core.sf.4",
        ))
    }
}

impl FromStr for AuxName {
    type Err = Error;

    /// As [`AuxName::under`], with `device` as the key.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::under(DEVICE, text)
    }
}

impl fmt::Display for AuxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
