//! The file that Multus names for an attachment's device information.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

use cni::{Code, Error, Json};
use kernel::{fault, regular};

use super::DeviceInfo;

const KEY: &str = "runtimeConfig.CNIDeviceInfoFile";

/// More than this is no device information.
const LARGEST: u64 = 1 << 20;

/// Reads the device information in the file at `path` (`runtimeConfig.CNIDeviceInfoFile`), `None` when
/// there is no such file. For the path see [`write()`]. Code 5 when the file cannot be read, 6 or 7 when
/// it is no device information.
pub fn read(path: &str) -> Result<Option<DeviceInfo>, Error> {
    let at = checked(path)?;
    let unread = |e: io::Error| Error::new(Code::IO, format!("{KEY}: read {path}: {e}"));
    let file = match regular::open(File::options().read(true), at) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(unread)?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > LARGEST {
        return Err(refused(path, "the file is larger than device information can be"));
    }
    DeviceInfo::parse(&bytes, &format!("the device information in {path}")).map(Some)
}

/// Writes device information into the file at `path` (`runtimeConfig.CNIDeviceInfoFile`), readable by
/// all and writable by none, as the client library of the working group does: beside it first, then
/// in its place, since a file that is there already cannot be written to. Its directory is made (0755)
/// where it is missing.
///
/// The path must be absolute, without `..`, and lead through a directory `devinfo`, as in
/// `/var/run/k8s.cni.cncf.io/devinfo/cni/NAME`: whoever may write a NetworkAttachmentDefinition may
/// write a `runtimeConfig` into it, and is not to have root replace any file of the node. A symbolic
/// link in its place is not followed, and on the way to it only one that root or we own (`/var/run` is
/// one). Code 7 for the path, 5 when writing fails.
pub fn write(path: &str, info: &DeviceInfo) -> Result<(), Error> {
    let at = checked(path)?;
    replace(at, format!("{}\n", info.tree().pretty()).as_bytes())
        .map_err(|e| Error::new(Code::IO, format!("{KEY}: write {path}: {e}")))
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if !directory.is_dir() {
        fault::point("make the directory of device information")?;
        DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    let beside = directory.join(format!(".{}.new", name.to_string_lossy()));
    fault::point("write device information beside its place")?;
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut options = File::options();
    let mut file = regular::open(options.write(true).create_new(true).mode(0o444), &beside)?;
    let put = file
        .write_all(content)
        .and_then(|()| fault::point("put device information in its place"))
        .and_then(|()| fs::rename(&beside, path));
    if put.is_err() {
        drop(fs::remove_file(&beside)); // the first error is the one to tell
    }
    put
}

/// The path, which may be read and replaced.
fn checked(path: &str) -> Result<&Path, Error> {
    let at = Path::new(path);
    if path.is_empty() {
        return Err(refused(path, "is empty"));
    }
    if !at.is_absolute() {
        return Err(refused(path, "must be absolute"));
    }
    if path.contains('\0') {
        return Err(refused(path, "has a NUL in it"));
    }
    // `components` leaves out `.` and a slash at the end; a file's name has neither.
    let plain = |c| matches!(c, Component::RootDir | Component::Normal(_));
    if !at.components().all(plain) || path.ends_with('/') || path.ends_with("/.") {
        return Err(refused(path, "must be the path of a file, without '..'"));
    }
    let directory = at.parent().unwrap_or(at);
    if !directory.components().any(|c| c.as_os_str() == "devinfo") {
        return Err(refused(path, "is outside of any directory of device information")
            .details("a directory on its way must be named devinfo"));
    }
    for part in at.ancestors() {
        let Ok(found) = part.symlink_metadata() else { continue };
        if !found.is_symlink() {
            continue;
        }
        if part == at {
            return Err(refused(path, "is a symbolic link, which is not followed"));
        }
        if found.uid() != 0 && found.uid() != ourselves() {
            let link = part.display();
            return Err(refused(path, "leads through a symbolic link that is not root's")
                .details(format!("{link} belongs to user {}", found.uid())));
        }
    }
    Ok(at)
}

/// The user that we are, 0 where it cannot be told.
fn ourselves() -> u32 {
    fs::metadata("/proc/self").map_or(0, |own| own.uid())
}

fn refused(path: &str, why: &str) -> Error {
    Error::config(KEY, Json::from(path), why)
}
