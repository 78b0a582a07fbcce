//! A hardware address.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use cni::{Code, Error};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// An Ethernet hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// A random, locally administered unicast address, as the kernel's `eth_random_addr` makes.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 6];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        bytes[0] = (bytes[0] & 0xfe) | 0x02;
        Ok(Self(bytes))
    }

    /// Six hexadecimal bytes joined by `:` or `-`. Multicast addresses and the zero address are
    /// refused, because no interface can have them. Code 7, with the configuration's key.
    pub fn under(key: &str, text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::new(Code::CONFIG, format!("{key} {text:?}: {why}"));
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2);
            *byte = part
                .and_then(|p| u8::from_str_radix(p, 16).ok())
                .ok_or_else(|| bad("not six hexadecimal bytes"))?;
        }
        if parts.next().is_some() {
            return Err(bad("not six hexadecimal bytes"));
        }
        if bytes[0] & 1 != 0 {
            return Err(bad("a multicast address cannot be an interface's own"));
        }
        if bytes == [0; 6] {
            return Err(bad("the zero address cannot be an interface's own"));
        }
        Ok(Self(bytes))
    }
}

impl FromStr for MacAddr {
    type Err = Error;

    /// As [`MacAddr::under`], with `mac` as the key.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::under("mac", text)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
