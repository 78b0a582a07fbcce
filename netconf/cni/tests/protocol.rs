//! The protocol as runtimes and plugins meet it.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a test did not expect fails it"
)]

#[path = "protocol/args.rs"]
mod args;
#[path = "protocol/decode.rs"]
mod decode;
#[path = "protocol/delegate.rs"]
mod delegate;
#[path = "protocol/derived.rs"]
mod derived;
#[path = "protocol/dispatch.rs"]
mod dispatch;
#[path = "protocol/environment.rs"]
mod environment;
#[path = "protocol/errors.rs"]
mod errors;
#[path = "protocol/fake.rs"]
mod fake;
#[path = "protocol/process.rs"]
mod process;
#[path = "protocol/results.rs"]
mod results;
#[path = "protocol/round_trips.rs"]
mod round_trips;
