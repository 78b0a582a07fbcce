//! Writing what others read: whole, and only where it differs.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use cni::{Code, Error};
use kernel::durable;

/// Puts the text in the file's place, readable by `mode`. False when it is there already.
pub fn publish(path: &Path, text: &[u8], mode: u32) -> Result<bool, Error> {
    if fs::read(path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    let failed = |e: std::io::Error| Error::new(Code::IO, format!("write {}: {e}", path.display()));
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    durable::replace(path, text).map_err(failed)?;
    if mode != 0o600 {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_file_that_says_the_same_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/peers.json");
        assert!(publish(&path, b"one", 0o644).unwrap());
        let about = fs::metadata(&path).unwrap();
        assert_eq!(about.mode() & 0o777, 0o644);
        assert!(!publish(&path, b"one", 0o644).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), about.ino());
        assert!(publish(&path, b"two", 0o644).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let error = publish(&path.join("below"), b"", 0o600).unwrap_err();
        assert!(error.msg.contains("peers.json"), "{error}");
    }
}
