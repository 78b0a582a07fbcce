//! `vxlan`: see README.md for its options.

use std::process::ExitCode;

use cluster::NodeToNode;
use peers::Way;

struct Vxlan;

impl cluster::Kind for Vxlan {
    const NAME: &'static str = "vxlan";
    const WAY: Way = Way::Vxlan;
}

fn main() -> ExitCode {
    cni::run(&NodeToNode::<Vxlan>::new())
}
