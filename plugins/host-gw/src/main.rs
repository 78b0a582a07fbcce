//! `host-gw`: see README.md for its options.

use std::process::ExitCode;

use cluster::NodeToNode;
use peers::Way;

struct HostGw;

impl cluster::Kind for HostGw {
    const NAME: &'static str = "host-gw";
    const WAY: Way = Way::HostGw;
}

fn main() -> ExitCode {
    cni::run(&NodeToNode::<HostGw>::new())
}
