//! The bytes of an index: a file, or memory.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use kernel::regular;

/// Bytes that are read and written at places.
#[derive(Debug)]
pub enum Storage {
    /// Of a file.
    File(File),
    /// In memory.
    Memory(Vec<u8>),
}

impl Storage {
    /// The file at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        regular::open(OpenOptions::new().read(true).write(true), path).map(Self::File)
    }

    /// Zeros in memory.
    pub fn zeros(length: u64) -> Self {
        Self::Memory(vec![0; usize::try_from(length).unwrap_or(0)])
    }

    /// How many bytes there are.
    pub fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `buffer` from `at` on.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buffer, at),
            Self::Memory(bytes) => {
                let from = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
                let part = from.and_then(|from| from.get(..buffer.len())).ok_or_else(outside)?;
                buffer.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// Writes `content` from `at` on.
    pub fn write(&mut self, at: u64, content: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all_at(content, at),
            Self::Memory(bytes) => {
                let from = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at..));
                let part = from.and_then(|f| f.get_mut(..content.len())).ok_or_else(outside)?;
                part.copy_from_slice(content);
                Ok(())
            }
        }
    }

    /// A new file at `path` with the same bytes; what stood there, left by a crash, is removed and
    /// never written through: it may be a link. Nothing is left there after an error.
    pub fn copy_to(&self, path: &Path) -> io::Result<Self> {
        let Self::Memory(bytes) = self else {
            return Err(io::Error::other("an index in a file is not copied"));
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = match options.open(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(path)?;
                options.open(path)?
            }
            other => other?,
        };
        match file.write_all_at(bytes, 0) {
            Ok(()) => Ok(Self::File(file)),
            Err(e) => {
                // It would take the room that is wanting.
                let _ = fs::remove_file(path);
                Err(e)
            }
        }
    }
}

fn outside() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smallfs;

    #[test]
    fn a_copy_writes_through_no_link_and_is_private() {
        use std::os::unix::fs::MetadataExt as _;
        let root = tempfile::tempdir().unwrap();
        let (victim, new) = (root.path().join("victim"), root.path().join("net.new"));
        fs::write(&victim, "precious").unwrap();
        for stale in ["link", "second name", "file"] {
            match stale {
                "link" => std::os::unix::fs::symlink(&victim, &new).unwrap(),
                "second name" => fs::hard_link(&victim, &new).unwrap(),
                _ => fs::write(&new, "stale").unwrap(),
            }
            Storage::zeros(4).copy_to(&new).unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"precious", "{stale}");
            assert_eq!(fs::read(&new).unwrap(), [0; 4], "{stale}");
            assert_eq!(fs::symlink_metadata(&new).unwrap().mode(), 0o100_600, "{stale}");
            fs::remove_file(&new).unwrap();
        }
    }

    #[test]
    fn a_copy_that_does_not_fit_leaves_nothing() {
        smallfs::with("size=64k", |root| {
            let new = root.join("net.new");
            let error = Storage::zeros(1 << 20).copy_to(&new).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(!new.exists());
            Storage::zeros(1 << 15).copy_to(&new).unwrap();
        });
    }
}
