//! `dummy`: see README.md for its options.

use std::process::ExitCode;

use attach::single::{Dummy, Single};

fn main() -> ExitCode {
    cni::run(&Single::<Dummy>::default())
}
