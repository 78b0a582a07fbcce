//! `ipip`: see README.md for its options.

use std::process::ExitCode;

use cluster::NodeToNode;
use peers::Way;

struct Ipip;

impl cluster::Kind for Ipip {
    const NAME: &'static str = "ipip";
    const WAY: Way = Way::Ipip;
}

fn main() -> ExitCode {
    cni::run(&NodeToNode::<Ipip>::new())
}
