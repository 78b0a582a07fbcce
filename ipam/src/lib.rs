//! Address management. Plugins ask [`Ipam`], which answers in the same process where the address
//! manager is our own and executes it where it is not; the executables `host-local` and `static`
//! are [`HostLocal`] and [`Static`] behind the protocol.

mod address;
mod ask;
mod fixed;
mod host_local;
mod range;
mod request;
mod resolver;
mod route;
#[cfg(test)]
mod smallfs;
mod store;
#[cfg(test)]
mod testcall;

pub use address::Family;
pub use ask::Ipam;
pub use fixed::Static;
pub use host_local::HostLocal;
pub use range::{Range, RangeConf, RangeSet, Ranges, Sources, Span};
