//! A switch for tests: fail or die at the n-th change of the outside world.
//!
//! Every request to the kernel and every write to a file passes [`point`] first. In builds with
//! debug assertions, which are never shipped, `PODWIRE_FAULT=fail:N` makes the N-th point (from 1)
//! of the process return EIO and `PODWIRE_FAULT=die:N` kills the process there, as `kill -9`
//! would. `PODWIRE_FAULT=count:FILE` appends a line per point to FILE. In release builds the
//! function is empty.

use std::io;

/// Passes, fails or dies, as the test has ordered. `what` names the change for `count`.
#[cfg(debug_assertions)]
pub fn point(what: &str) -> io::Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static ORDER: OnceLock<Option<String>> = OnceLock::new();
    static PASSED: AtomicUsize = AtomicUsize::new(0);

    let Some(order) = ORDER.get_or_init(|| std::env::var("PODWIRE_FAULT").ok()) else {
        return Ok(());
    };
    let n = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    match order.split_once(':') {
        Some(("fail", at)) if at.parse() == Ok(n) => Err(io::Error::from_raw_os_error(libc::EIO)),
        Some(("die", at)) if at.parse() == Ok(n) => {
            // SIGKILL leaves no chance to clean up, which is the point.
            let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::SIGKILL);
            Ok(())
        }
        Some(("count", file)) => {
            use std::io::Write as _;
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
            writeln!(file, "{what}")
        }
        _ => Ok(()),
    }
}

/// Passes.
#[cfg(not(debug_assertions))]
#[inline]
pub fn point(_what: &str) -> io::Result<()> {
    Ok(())
}

/// True when a test has given an order.
#[cfg(debug_assertions)]
pub fn armed() -> bool {
    std::env::var_os("PODWIRE_FAULT").is_some()
}

/// False.
#[cfg(not(debug_assertions))]
#[inline]
pub fn armed() -> bool {
    false
}
