//! Opening a file without ever waiting for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Opens the file at `path`, which must be a regular one, links followed. To open a FIFO would wait
/// for its other end, and with it whoever waits for a lock that is held; see fifo(7).
/// [`io::ErrorKind::InvalidInput`] when it is something else.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = match options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
        // A socket, or a FIFO that nobody reads.
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => {
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
