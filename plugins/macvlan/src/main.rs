//! `macvlan`: see README.md for its options.

use std::process::ExitCode;

use attach::single::{Macvlan, Single};

fn main() -> ExitCode {
    cni::run(&Single::<Macvlan>::default())
}
