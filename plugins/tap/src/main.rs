//! `tap`: see README.md for its options.

use std::process::ExitCode;

use attach::single::{Single, Tap};

fn main() -> ExitCode {
    cni::run(&Single::<Tap>::default())
}
