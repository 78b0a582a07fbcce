//! Opening a file of the store without ever waiting for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Opens the file at `path`, which must be a regular one, links followed. To open a FIFO would wait
/// for its other end, and the whole network with it, since the lock is held; see fifo(7).
/// [`io::ErrorKind::InvalidInput`] when it is something else.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match options.custom_flags(flags.bits()).open(path) {
        // A socket, or a FIFO that nobody reads.
        Err(e) if e.raw_os_error() == Some(Errno::ENXIO as i32) => {
            return Err(not("a socket or FIFO"));
        }
        other => other?,
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_dir() {
        Err(not("a directory"))
    } else if kind.is_fifo() {
        Err(not("a FIFO"))
    } else {
        Err(not("a device"))
    }
}

fn not(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("not a regular file but {what}"))
}
