//! `podwire`: the operator's tool.

fn main() {}
