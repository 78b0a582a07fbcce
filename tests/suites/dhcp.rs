//! `dhcp`: leases of real servers, through bridges, kept by a daemon.

mod at_once;
mod bad_input;
mod changes;
mod daemon;
mod example;
mod faults;
mod ground;
mod options;
mod restarts;
mod units;
mod v6;
mod verbs;
