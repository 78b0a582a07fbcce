//! The CNI protocol as a plugin author meets it: the environment and stdin in, a result or an
//! error object out. Pure values throughout; the only I/O is stdin, stdout and the execution of
//! delegates.

pub mod args;
pub mod delegate;

mod attachment;
mod call;
mod cidr;
mod dispatch;
mod error;
mod json;
mod path;
mod plugin;
mod result;
mod stderr;
mod version;

pub use args::{Args, Asked};
pub use attachment::{Attachment, ContainerId, IfName, NetworkName};
pub use call::{Call, GcCall, NetConf, StatusCall};
pub use cidr::{Cidr, NotCidr, cidr, optional_ip};
pub use dispatch::{Environment, Output, dispatch, run};
pub use error::{Code, Error};
pub use json::{Json, likely};
pub use path::PluginPath;
pub use plugin::Plugin;
pub use result::{AddResult, Dns, Interface, IpConfig, Route};
pub use stderr::warn;
pub use version::Version;
