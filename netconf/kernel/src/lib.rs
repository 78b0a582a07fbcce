//! The one crate that talks to the kernel: netlink, namespaces, sysctls.

mod error;
pub mod fault;
mod mac;
pub mod netfilter;

pub use error::{Error, Result};
pub use mac::MacAddr;
