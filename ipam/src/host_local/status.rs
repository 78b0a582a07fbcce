//! STATUS: could an address be given now?

use std::io;
use std::path::Path;

use cni::{Code, Error, StatusCall};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::add::exhausted;
use super::conf::{Conf, Place};
use crate::store::Store;

/// Code 50 when the store cannot be written to, or a range set has no free address.
pub fn status(call: &StatusCall) -> Result<(), Error> {
    let conf = Conf::of(&call.conf)?;
    // STATUS has no runtimeConfig; so a config that gets its ranges that way has none here.
    let ranges = conf.ranges(&call.conf)?;
    let place = Place::of(&call.conf)?;
    writable(&place.data_dir.join(call.conf.network.as_str()))?;
    let Some(ranges) = ranges else { return Ok(()) };
    let store = Store::open(&place.data_dir, &call.conf.network).map_err(unavailable)?;
    let Some(mut store) = store else { return Ok(()) };
    for (number, set) in ranges.sets().iter().enumerate() {
        if !store.has_free(set).map_err(unavailable)? {
            return Err(unavailable(exhausted(number, set)));
        }
    }
    Ok(())
}

fn unavailable(error: Error) -> Error {
    Error { code: Code::NOT_AVAILABLE, ..error }
}

/// A lease is a file, which needs a block and an inode.
fn room(path: &Path) -> Result<(), Error> {
    // As `df` and `df -i`. Where there is no limit, both numbers are 0 (statfs(2), of tmpfs and
    // btrfs). The blocks that are kept back for root count as free: plugins run as root.
    let Ok(room) = statvfs(path) else { return Ok(()) };
    let wanting = if room.blocks() > 0 && room.blocks_free() == 0 {
        "no free blocks"
    } else if room.files() > 0 && room.files_free() == 0 {
        "no free inodes"
    } else {
        return Ok(());
    };
    Err(Error::new(
        Code::NOT_AVAILABLE,
        format!(
            "ipam.dataDir: leases cannot be written to {}: its file system has {wanting}",
            path.display()
        ),
    )
    .details("make room on its file system"))
}

/// Of a directory that does not exist yet, the nearest that does must let it be made, and have room.
fn writable(path: &Path) -> Result<(), Error> {
    let refused = |path: &Path, why: &dyn std::fmt::Display| {
        Error::new(
            Code::NOT_AVAILABLE,
            format!("ipam.dataDir: leases cannot be written to {}: {why}", path.display()),
        )
        .details("ipam.dataDir must name a directory that this user can write to")
    };
    for path in path.ancestors() {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match path.metadata() {
            Ok(meta) if !meta.is_dir() => return Err(refused(path, &"not a directory")),
            Ok(_) => {
                access(path, AccessFlags::W_OK | AccessFlags::X_OK)
                    .map_err(|errno| refused(path, &io::Error::from(errno)))?;
                return room(path);
            }
            // Below a file: the next ancestor is that file.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => return Err(refused(path, &e)),
        }
    }
    Ok(())
}
