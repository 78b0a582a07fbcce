//! `vlan`: see README.md for its options.

use std::process::ExitCode;

use attach::single::{Single, Vlan};

fn main() -> ExitCode {
    cni::run(&Single::<Vlan>::default())
}
