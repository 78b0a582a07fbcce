//! `host-local`: see README.md for its options.

use std::process::ExitCode;

fn main() -> ExitCode {
    cni::run(&ipam::HostLocal)
}
