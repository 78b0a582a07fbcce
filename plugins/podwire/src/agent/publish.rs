//! Writing what others read: whole, only where it differs, and never over what is somebody else's.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use cni::{Code, Error};
use kernel::{durable, regular};

/// None of the files is larger.
const LARGEST: u64 = 16 << 20;

/// What a file of ours is known by. An empty one is anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The plugins' peersFile.
    Peers,
    /// `agent.json`.
    State,
    /// `subnet.env`.
    SubnetEnv,
}

impl Form {
    /// Whether the file may be replaced or removed. What bears the name that only ours has may be damaged.
    fn is_of(self, path: &Path, text: &[u8]) -> bool {
        let named = |name: &str| path.file_name().is_some_and(|is| is == name);
        let text = text.trim_ascii_start();
        // Half of it was ours, too.
        let has = |key: &str| text.windows(key.len()).any(|part| part == key.as_bytes());
        text.is_empty()
            || match self {
                Self::Peers => {
                    named("peers.json")
                        || text.starts_with(b"{")
                            && has("\"version\"")
                            && (has("\"clusterCIDRs\"") || has("\"local\""))
                }
                Self::State => {
                    named("agent.json")
                        || text.starts_with(b"{") && has("\"version\"") && has("\"pid\"")
                }
                Self::SubnetEnv => text.starts_with(b"FLANNEL_"),
            }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Peers => "peersFile",
            Self::State => "state of an agent",
            Self::SubnetEnv => "subnet.env",
        }
    }
}

/// What is in a regular file. Never waits for it, as it would for a FIFO.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = regular::open(File::options().read(true), path)?;
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// What is there; `None` where nothing is. Code 5 where it is not ours to touch.
fn own(path: &Path, form: Form) -> Result<Option<Vec<u8>>, Error> {
    let refused = |why: &str| {
        let error = Error::new(Code::IO, format!("{}: {why}", path.display()));
        Err(error.details("name another path, or remove what is there"))
    };
    match read(path) {
        Ok(text) if form.is_of(path, &text) => Ok(Some(text)),
        Ok(_) => refused(&format!("what is there is no {}, and is left as it is", form.noun())),
        // A link that leads nowhere is replaced, too.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => refused(&e.to_string()),
    }
}

/// Puts the text in the file's place, readable by `mode`. False when it is there already. Code 5, also where
/// somebody else's file is there.
pub fn publish(path: &Path, form: Form, text: &[u8], mode: u32) -> Result<bool, Error> {
    if own(path, form)?.is_some_and(|there| there == text) {
        return Ok(false);
    }
    let failed = |e: io::Error| Error::new(Code::IO, format!("write {}: {e}", path.display()));
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    durable::replace(path, text).map_err(failed)?;
    if mode != 0o600 {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(true)
}

/// Removes the file. False when there is none. Code 5, also where somebody else's file is there.
pub fn discard(path: &Path, form: Form) -> Result<bool, Error> {
    own(path, form)?;
    durable::discard(path)
        .map_err(|e| Error::new(Code::IO, format!("remove {}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_that_says_the_same_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/peers.json");
        let put = |text: &[u8]| publish(&path, Form::Peers, text, 0o644);
        assert!(put(b"one").unwrap());
        let about = fs::metadata(&path).unwrap();
        assert_eq!(about.mode() & 0o777, 0o644);
        assert!(!put(b"one").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), about.ino());
        assert!(put(b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let error = publish(&path.join("below"), Form::Peers, b"", 0o600).unwrap_err();
        assert!(error.msg.contains("peers.json"), "{error}");
    }

    #[test]
    fn what_is_somebody_else_s_is_neither_replaced_nor_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious");
        let forms = [Form::Peers, Form::State, Form::SubnetEnv];
        for text in ["root:x:0:0", "{\"version\": \"1.2.3\"}", "\0\0", "[]"] {
            fs::write(&path, text).unwrap();
            for form in forms {
                let refused = publish(&path, form, b"new", 0o644).unwrap_err();
                assert!(refused.msg.contains("precious"), "{refused}");
                discard(&path, form).unwrap_err();
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
            }
        }
        for (form, text) in [
            (Form::Peers, "{\"version\":1,\"clusterCIDRs\":[\"10."),
            (Form::State, "{\"version\":1,\"pid\":7}"),
            (Form::SubnetEnv, "FLANNEL_NETWORK=10.1.0.0/16\n"),
            (Form::SubnetEnv, ""),
        ] {
            fs::write(&path, text).unwrap();
            assert!(publish(&path, form, b"new", 0o644).unwrap(), "{text}");
            fs::write(&path, text).unwrap();
            assert!(discard(&path, form).unwrap());
            assert!(!discard(&path, form).unwrap());
        }
    }

    #[test]
    fn what_is_no_file_is_named_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (fifo, null) = (directory.path().join("fifo"), directory.path().join("null"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/null", &null).unwrap();
        for (path, is) in [(&fifo, "a FIFO"), (&null, "a device")] {
            for done in [
                publish(path, Form::State, b"new", 0o644),
                discard(path, Form::State),
                read(path).map(|_| true).map_err(|e| Error::new(Code::IO, e.to_string())),
            ] {
                assert!(done.unwrap_err().msg.contains(is));
            }
            assert!(fs::symlink_metadata(path).is_ok());
        }
    }
}
