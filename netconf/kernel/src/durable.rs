//! Files that are there whole or not at all, also after a kill: [`write`] and [`remove`] besides survive a
//! loss of power, their work is on the disk when they return.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::{fault, regular};

/// Writes the file at `path`, readable by its owner alone: beside it first, then in its place. Two
/// writers of one file need a lock between them.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    put_beside(path, content)?.sync_all()?;
    take_place(path)?;
    sync_directory(path)
}

/// The same for what need not outlive the boot: nothing waits for the disk.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    put_beside(path, content)?;
    take_place(path)
}

fn put_beside(path: &Path, content: &[u8]) -> io::Result<File> {
    fault::point("write a file beside its place")?;
    let beside = beside(path)?;
    // A link that somebody else put there is not followed.
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = File::options();
    let mut file = regular::open(options.write(true).create_new(true).mode(0o600), &beside)?;
    match file.write_all(content) {
        Ok(()) => Ok(file),
        Err(e) => {
            let _ = fs::remove_file(beside);
            Err(e)
        }
    }
}

fn take_place(path: &Path) -> io::Result<()> {
    let beside = beside(path)?;
    let outcome = fault::point("put a file in its place").and_then(|()| fs::rename(&beside, path));
    if outcome.is_err() {
        // The rename's error is the one to tell.
        let _ = fs::remove_file(beside);
    }
    outcome
}

/// Removes the file at `path`; it is fine when there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    if discard(path)? { sync_directory(path) } else { Ok(()) }
}

/// The same for what need not outlive the boot: nothing waits for the disk. False when there was
/// none.
pub fn discard(path: &Path) -> io::Result<bool> {
    fault::point("remove a file")?;
    let remove = |path: &Path| match fs::remove_file(path) {
        Ok(()) => Ok(true),
        // On a file system that is read-only there may be nothing to remove either.
        Err(_) if is_missing(path) => Ok(false),
        Err(e) => Err(e),
    };
    // What a writer that was killed left.
    remove(&beside(path)?)?;
    remove(path)
}

fn is_missing(path: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    fs::symlink_metadata(path).is_err_and(|e| matches!(e.kind(), NotFound | NotADirectory))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// `DIRECTORY/.NAME.new`
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(path.with_file_name(format!(".{}.new", name.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_readable_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        for (content, put) in [("one", write as fn(&Path, &[u8]) -> _), ("another", replace)] {
            put(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(directory.path().join(".record.new"), "of a writer that was killed").unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_there_need_not_be_removed() {
        assert!(!discard(Path::new("/dev/null/record")).unwrap());
        assert!(!discard(Path::new("/nonexistent/record")).unwrap());
        // The kernel lets nobody remove anything here.
        assert!(!discard(Path::new("/proc/self/record")).unwrap());
        discard(Path::new("/proc/self/status")).unwrap_err();
    }

    #[test]
    fn links_are_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("record"), directory.path().join("other"));
        fs::write(&other, "precious").unwrap();
        symlink(&other, &path).unwrap();
        symlink(&other, directory.path().join(".record.new")).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
