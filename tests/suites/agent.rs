//! The node agent: nodes on an underlay, each with one, judged from outside.

mod bad_input;
mod chaos;
mod commands;
mod damage;
mod etcd;
mod example;
pub mod ground;
mod manifests;
mod membership;
mod service;
mod stops;
