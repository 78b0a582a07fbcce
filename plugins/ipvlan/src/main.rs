//! `ipvlan`: see README.md for its options.

use std::process::ExitCode;

use attach::single::{Ipvlan, Single};

fn main() -> ExitCode {
    cni::run(&Single::<Ipvlan>::default())
}
