//! Small file systems for tests.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Runs `test` with a tmpfs of these options, which nobody else sees and which goes with the
/// thread: it is in a mount namespace of its own.
pub fn with(options: &str, test: impl FnOnce(&Path) + Send) {
    let root = tempfile::tempdir().unwrap();
    let none = None::<&str>;
    let run = || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(none, root.path(), Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
        test(root.path());
    };
    let done = std::thread::scope(|scope| scope.spawn(run).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
