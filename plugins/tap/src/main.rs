//! `tap`: see README.md for its options.

use std::process::ExitCode;

use attach::single::{Single, Tap, run_labelled};

fn main() -> ExitCode {
    // Its own helper, where the device is to have a label of SELinux.
    run_labelled(std::env::args_os()).unwrap_or_else(|| cni::run(&Single::<Tap>::default()))
}
