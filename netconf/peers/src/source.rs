//! Where the fleet is described, and how to tell that the description is still the same.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cni::{Code, Error, Json};
use kernel::regular;
use serde::{Deserialize, Serialize};

use crate::Fleet;

/// A peer file is not larger: 5 000 nodes take less than 1 MiB.
const LARGEST: u64 = 16 << 20;
/// How often a file that changes while it is read is read again.
const TRIES: usize = 5;
/// A file that was written so short a time ago may be written again without its times telling: the
/// kernel stamps files by a clock that ticks every few milliseconds.
const FRESH: Duration = Duration::from_millis(100);

/// Where the fleet is described.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// In the plugin's configuration; the tree has the form of a file.
    Inline(Json),
    /// In a file that was read already.
    Known(Known),
}

/// A description that was read already, and the file that says the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    fleet: Arc<Fleet>,
    pub(crate) path: PathBuf,
    /// `None` where the file says something else, or was written a moment ago.
    identity: Option<Identity>,
}

impl Known {
    /// The fleet that `text` was read as, and the file that the plugins read.
    pub fn of(fleet: Arc<Fleet>, text: &[u8], path: &Path) -> Self {
        let held = read(path).ok().filter(|(held, _)| held == text);
        let identity = held.map(|(_, identity)| identity).filter(Identity::is_settled);
        Self { fleet, path: path.to_owned(), identity }
    }

    /// True where the next ADD can know the file again.
    pub fn is_settled(&self) -> bool {
        self.identity.is_some()
    }
}

/// What tells one state of a file from any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(file: &std::fs::Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// True when the next change of the file is sure to show.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamp = |(seconds, nanoseconds): (i64, i64)| {
            Duration::new(
                u64::try_from(seconds).unwrap_or_default(),
                u32::try_from(nanoseconds).unwrap_or_default(),
            )
        };
        // Nobody can set the time of the inode's change, and every change of the content sets it.
        now.checked_sub(stamp(self.changed)).is_some_and(|age| age > FRESH)
    }
}

impl Source {
    /// The fleet, and what to know its description again by: `None` when there is no such thing
    /// yet, because it was written a moment ago. Code 5, 6 or 7.
    pub fn read(&self) -> Result<(Arc<Fleet>, Option<Identity>), Error> {
        match self {
            Self::Inline(tree) => Ok((Fleet::of(tree, "the configuration")?.into(), None)),
            Self::Known(known) => Ok((known.fleet.clone(), known.identity.clone())),
            Self::File(path) => {
                let (text, identity) = read(path)?;
                let fleet = Fleet::parse(&text, &format!("peersFile {}", path.display()))?;
                Ok((fleet.into(), Some(identity).filter(Identity::is_settled)))
            }
        }
    }

    /// What the file is known by now; `None` when there is no file.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::Inline(_) => None,
            Self::Known(known) => known.identity.clone(),
            Self::File(path) => Some(Identity::of(&std::fs::metadata(path).ok()?)),
        }
    }
}

fn read(path: &Path) -> Result<(Vec<u8>, Identity), Error> {
    let failed = |e: &io::Error| {
        let error = Error::new(Code::IO, format!("peersFile {}: {e}", path.display()));
        if e.kind() == io::ErrorKind::NotFound {
            return error.details("write the file, or name another one with peersFile");
        }
        error
    };
    for _ in 0..TRIES {
        let file = regular::open(File::options().read(true), path).map_err(|e| failed(&e))?;
        let before = file.metadata().map_err(|e| failed(&e))?;
        if before.size() > LARGEST {
            return Err(Error::new(
                Code::IO,
                format!("peersFile {}: {} bytes are no peer file", path.display(), before.size()),
            ));
        }
        let mut text = Vec::new();
        (&file).take(LARGEST).read_to_end(&mut text).map_err(|e| failed(&e))?;
        let after = file.metadata().map_err(|e| failed(&e))?;
        let identity = Identity::of(&after);
        if identity == Identity::of(&before) {
            return Ok((text, identity));
        }
    }
    Err(Error::new(
        Code::TRY_AGAIN,
        format!("peersFile {}: changed all the while it was read", path.display()),
    )
    .details("write a new file beside it and rename that over it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(path: &Path) -> Error {
        Source::File(path.to_owned()).read().unwrap_err()
    }

    #[test]
    fn what_cannot_be_a_peer_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        assert!(failure(directory.path()).msg.ends_with("not a regular file but a directory"));
        let missing = failure(&directory.path().join("none"));
        assert_eq!(missing.code, Code::IO);
        assert!(missing.details.contains("peersFile"), "{missing}");
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(failure(&fifo).msg.ends_with("not a regular file but a FIFO"));
        let large = directory.path().join("large");
        File::create(&large).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(failure(&large).msg.ends_with("are no peer file"));
    }

    #[test]
    fn a_file_is_known_again_once_it_has_rested() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = Source::File(file.path().to_owned());
        let first = source.identity().unwrap();
        assert!(!first.is_settled());
        let rest = std::fs::FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(9));
        file.as_file().set_times(rest).unwrap();
        let second = source.identity().unwrap();
        assert_ne!(first, second);
        // The inode was changed a moment ago, whatever the file's own time says.
        assert!(!second.is_settled());
        assert!(Identity { changed: second.modified, ..second }.is_settled());
        assert_eq!(Source::Inline(Json::Null).identity(), None);
    }
}
