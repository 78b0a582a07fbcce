//! Names of network interfaces.

use std::fmt;
use std::str::FromStr;

use cni::Error;

use super::{DEVICE, refused};

/// A name that a network interface can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(String);

/// IFNAMSIZ less the byte that ends the text.
const LONGEST: usize = 15;

impl LinkName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LinkName {
    type Err = Error;

    /// As the kernel judges names (net/core/dev.c, `dev_valid_name`), which does not know of other
    /// control characters than white space: those are refused here, too. Code 7.
    fn from_str(text: &str) -> Result<Self, Error> {
        let taken = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if (1..=LONGEST).contains(&text.len())
            && !text.contains(taken)
            && text != "."
            && text != ".."
        {
            return Ok(Self(text.to_owned()));
        }
        Err(refused(
            DEVICE,
            text,
            "not the name of a network interface",
            "it has 1 to 15 bytes and neither /, : nor white space",
        ))
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
