//! A panic is a defect of ours, and the runtime is told so in its own language.

use std::panic;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use super::write_stdout;
use crate::{Code, Error, Version};

/// Whether stdout has had its one JSON object.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// True for the first who asks.
pub(super) fn may_answer() -> bool {
    !ANSWERED.swap(true, Ordering::SeqCst)
}

/// From now on a panic in any thread prints an error object and ends the process, whether the
/// executable was built to unwind or to abort.
pub(super) fn answer_with_error_object(version: Version) {
    panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or("unknown reason");
        let mut error = Error::new(Code::INTERNAL, format!("a defect of the plugin: {text}"));
        if let Some(place) = info.location() {
            error = error.details(format!("at {place}; please report it"));
        }
        if may_answer() {
            drop(write_stdout(&error.print(version)));
        }
        crate::stderr::write(&format!("{error}\n"));
        process::exit(1);
    }));
}
