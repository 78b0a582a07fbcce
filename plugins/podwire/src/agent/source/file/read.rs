//! Reading a file that somebody else writes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use cni::{Code, Error};
use kernel::regular;

/// A fleet is not larger: 5 000 nodes take less than 1 MiB.
const LARGEST: u64 = 16 << 20;

/// All of it.
pub fn whole(path: &Path) -> io::Result<Vec<u8>> {
    let file = regular::open(File::options().read(true), path)?;
    let mut text = Vec::new();
    let length = file.take(LARGEST + 1).read_to_end(&mut text)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > LARGEST {
        return Err(io::Error::other("too large to describe a fleet"));
    }
    Ok(text)
}

/// It cannot be read.
pub fn failed(what: &str, e: &io::Error) -> Error {
    let error = Error::new(Code::IO, format!("{what}: {e}"));
    if e.kind() == io::ErrorKind::NotFound {
        return error.details("what it said last holds until there is one again");
    }
    error
}
