//! The bytes of an index: a file, or memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::store::regular;

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

    /// A file at `path` with the same bytes.
    pub fn copy_to(&self, path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        match self {
            Self::Memory(bytes) => {
                let file = options.open(path)?;
                file.write_all_at(bytes, 0)?;
                Ok(Self::File(file))
            }
            Self::File(_) => Err(io::Error::other("an index in a file is not copied")),
        }
    }
}

fn outside() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}
