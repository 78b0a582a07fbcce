//! Files that survive a loss of power: whole or not at all, and on the disk when the call returns.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::{fault, regular};

/// Writes the file at `path`, readable by its owner alone: beside it first, then in its place. Two
/// writers of one file need a lock between them.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    fault::point("write a file beside its place")?;
    let beside = beside(path)?;
    // A link that somebody else put there is not followed.
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = File::options();
    let mut file = regular::open(options.write(true).create_new(true).mode(0o600), &beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fault::point("put a file in its place")?;
    fs::rename(&beside, path)?;
    sync_directory(path)
}

/// Removes the file at `path`; it is fine when there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    fault::point("remove a file")?;
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    sync_directory(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// `DIRECTORY/.NAME.new`
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(path.with_file_name(format!(".{}.new", name.to_string_lossy())))
}
