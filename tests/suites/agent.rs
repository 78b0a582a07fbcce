//! The node agent: nodes on an underlay, each with one, judged from outside.

mod bad_input;
mod chaos;
mod commands;
mod conflist;
mod damage;
mod etcd;
mod example;
pub mod ground;
mod manifests;
mod membership;
mod notified;
mod service;
mod stops;
mod strange;
mod takeover;
mod walk;
