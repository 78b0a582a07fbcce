//! The three names that identify an attachment. Each is checked where it enters, so that an
//! illegal one cannot travel (spec section 2, "Parameters"; reference `pkg/utils/utils.go`).

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};

use crate::{Code, Error};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A container's id: `CNI_CONTAINERID`. Letters, digits, `_`, `.` and `-`, beginning with a
    /// letter or digit. Else error code 4.
    ContainerId, check_container
}
name! {
    /// A network's name: the config's `name`. Same form as [`ContainerId`]. Else error code 7.
    NetworkName, check_network
}
name! {
    /// A network interface's name: `CNI_IFNAME`, or a link named in a config. 1 to 15 bytes, not
    /// `.`, `..`, `all` or `default`, without `/`, `:`, `%` and white space (kernel
    /// `dev_valid_name`, `dev_alloc_name`). Else error code 4.
    IfName, check_interface
}

/// What one ADD makes and one DEL removes: an interface of a container in a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    /// The network joined.
    pub network: NetworkName,
    /// The container that joins.
    pub container: ContainerId,
    /// The interface's name inside the container.
    pub ifname: IfName,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)
    }
}

fn has_identifier_form(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn check_container(text: &str) -> Result<(), Error> {
    if has_identifier_form(text) {
        return Ok(());
    }
    Err(Error::new(Code::ENVIRONMENT, format!("{text:?} is not a container id")).details(
        "an id begins with a letter or digit and goes on with letters, digits, '_', '.' and '-'",
    ))
}

fn check_network(text: &str) -> Result<(), Error> {
    if has_identifier_form(text) {
        return Ok(());
    }
    let msg = if text.is_empty() {
        "name is missing in the network configuration".to_owned()
    } else {
        format!("name {text:?} is not a network name")
    };
    Err(Error::new(Code::CONFIG, msg).details(
        "a name begins with a letter or digit and goes on with letters, digits, '_', '.' and '-'",
    ))
}

fn check_interface(text: &str) -> Result<(), Error> {
    let why = if text.is_empty() {
        "is empty"
    } else if text.len() > 15 {
        "has more than 15 bytes"
    } else if text == "." || text == ".." {
        "is a directory"
    } else if text.contains(['/', ':']) || text.contains(char::is_whitespace) {
        "has a '/', a ':' or white space in it"
    } else if text.contains('%') {
        "has a '%' in it, which the kernel takes for a pattern"
    } else if text == "all" || text == "default" {
        "is what the kernel's sysctls call every interface"
    } else if text.contains(char::is_control) {
        "has a control character in it"
    } else {
        return Ok(());
    };
    Err(Error::new(Code::ENVIRONMENT, format!("{text:?} is not an interface name: it {why}")))
}
