//! Node to node: how the pods of other nodes are reached.
//!
//! A [`Fleet`] (who the nodes are) and [`Facts`] (what this node's own network looks like) make a
//! [`Plan`] (what the kernel is to have), which is a pure function. The plan is compared with what
//! the kernel has, and only the difference is applied ([`Network`]). CHECK is the same comparison.

mod adopt;
mod apply;
mod backend;
mod change;
mod commands;
mod conclusion;
mod config;
mod device;
mod difference;
mod expected;
mod facts;
mod fleet;
mod former;
mod gather;
mod mac;
mod observe;
mod outcome;
mod outlived;
mod overruled;
mod plan;
mod planned;
mod prospect;
mod record;
mod retire;
mod scope;
mod settle;
mod sight;
mod source;
mod tunnel;

pub use backend::{
    BLACKHOLE_METRIC, Backend, IpipOptions, METRIC, Offload, Options, PROTOCOL, VxlanOptions,
};
pub use change::Change;
pub use conclusion::Pending;
pub use config::{Config, Way};
pub use device::{Mend, Verdict, compare};
pub use difference::{Have, Tunnel, alias, difference};
pub use expected::Expected;
pub use facts::{Facts, Families, Reach, Underlay};
pub use fleet::{Fault, Fleet, Node};
pub use mac::of as vtep_mac;
pub use outcome::{Command, Outcome, Step};
pub use plan::{Device, Kind, Plan, Route, Through, plan};
pub use prospect::Prospect;
pub use settle::{Ground, Network};
pub use source::{Known, Source};
