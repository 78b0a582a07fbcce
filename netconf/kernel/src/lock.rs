//! A lock that processes share, as a file.

use std::fs::{self, DirBuilder, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cni::{Code, Error};

use crate::{fault, regular};

/// A file, locked as long as the value lives: a process that is killed lets go of it.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// True while the file at `path` is the one that is locked. Where it was removed, others lock another.
    pub fn is_at(&self, path: &Path) -> bool {
        let identity = |about: Metadata| (about.dev(), about.ino());
        let there = fs::metadata(path).map(identity);
        self.0.metadata().map(identity).is_ok_and(|held| there.is_ok_and(|there| there == held))
    }

    /// Waits for the lock at `path` for as long as `patience`. Its directory is made, with `mode`,
    /// where it is missing. Code 5; 11 when somebody else has it all the time. `key` is the option that
    /// the path came from.
    pub fn take(key: &str, path: &Path, mode: u32, patience: Duration) -> Result<Self, Error> {
        let failed = |what: &str, path: &Path, e: &io::Error| {
            Error::new(Code::IO, format!("{key}: {what} {}: {e}", path.display()))
        };
        let directory = path.parent().unwrap_or(Path::new("."));
        fault::point("lock a file")
            .and_then(|()| DirBuilder::new().recursive(true).mode(mode).create(directory))
            .map_err(|e| failed("make the directory", directory, &e))?;
        let mut options = File::options();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let file = regular::open(options, path).map_err(|e| failed("open", path, &e))?;
        if within(&file, patience).map_err(|e| failed("lock", path, &e))? {
            return Ok(Self(file));
        }
        let seconds = patience.as_secs();
        let held =
            format!("{key}: another process has held {} for {seconds} seconds", path.display());
        Err(Error::new(Code::TRY_AGAIN, held).details("see which one with `fuser` or `lslocks`"))
    }
}

/// Waits for the lock of an open file (flock) for as long as `patience`: false when somebody else has
/// it all the time.
pub(crate) fn within(file: &File, patience: Duration) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => return Ok(true),
        Err(TryLockError::WouldBlock) if patience.is_zero() => return Ok(false),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(e)) => return Err(e),
    }
    // There is no call that waits, but not for ever: a thread waits, and ends with the process. The lock
    // is one of the open file, which its copy is, too.
    let file = file.try_clone()?;
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || done.send(file.lock()));
    outcome.recv_timeout(patience).map_or(Ok(false), |locked| locked.map(|()| true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_later_waits_and_gives_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/lock");
        let take = |patience| Lock::take("stateDir", &path, 0o700, patience);
        let held = take(Duration::ZERO).unwrap();
        let refused = take(Duration::from_millis(1)).unwrap_err();
        assert_eq!(refused.code, Code::TRY_AGAIN);
        assert!(refused.msg.contains("stateDir") && refused.msg.contains("lock"), "{refused}");
        let waits = thread::spawn({
            let path = path.clone();
            move || Lock::take("stateDir", &path, 0o700, Duration::from_mins(1)).map(drop)
        });
        drop(held);
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_told_from_the_one_that_others_take() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/lock");
        let take = || Lock::take("stateDir", &path, 0o700, Duration::ZERO).unwrap();
        let held = take();
        assert!(held.is_at(&path));
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert!(!held.is_at(&path));
        let other = take();
        assert!(other.is_at(&path) && !held.is_at(&path));
    }
}
