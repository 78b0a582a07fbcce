//! The CNI protocol as a plugin author meets it: the environment and stdin in, a result or an
//! error object out. Pure values throughout; the only I/O is stdin, stdout and the execution of
//! delegates.

mod attachment;
mod call;
mod error;
mod plugin;
mod result;
mod version;

pub use attachment::{Attachment, ContainerId, IfName, NetworkName};
pub use call::{Call, GcCall, NetConf, PluginPath, StatusCall};
pub use error::{Code, Error};
pub use plugin::Plugin;
pub use result::{AddResult, Dns, Interface, IpConfig, Route};
pub use version::Version;
