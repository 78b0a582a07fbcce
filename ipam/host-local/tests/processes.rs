//! `host-local` as processes: many at once, dying at every step, and beside the reference.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "processes/crowd.rs"]
mod crowd;
#[path = "processes/faults.rs"]
mod faults;
#[path = "processes/lab.rs"]
mod lab;
#[path = "processes/reference.rs"]
mod reference;
#[path = "processes/same.rs"]
mod same;
