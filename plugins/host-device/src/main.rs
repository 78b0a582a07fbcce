//! `host-device`: see README.md for its options.

fn main() {}
