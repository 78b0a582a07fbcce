//! `dhcp`: address management by the network's own DHCP servers; see README.md. Called as a plugin
//! it asks the daemon; `dhcp daemon` is that, and holds the leases.

mod daemon;
mod lease;
mod plugin;
mod talk;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("daemon") => daemon::run(arguments),
        _ => cni::run(&plugin::Dhcp),
    }
}
