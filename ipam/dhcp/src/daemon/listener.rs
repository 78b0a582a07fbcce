//! The daemon's socket: handed over by systemd, or its own.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The first descriptor that is handed over (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// A listening socket, non-blocking.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: UnixListener,
    /// Its path, where it is ours to remove.
    own: Option<PathBuf>,
}

impl Listener {
    /// The socket that systemd hands over (sd_listen_fds(3)), else a new one at `path`. What another
    /// daemon left there after a crash is removed: that none is alive, the lock on the leases says;
    /// where somebody answers all the same, he has other leases, and the socket is his.
    pub fn open(path: &Path) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok();
        let handed =
            variable("LISTEN_PID").and_then(|pid| pid.parse().ok()) == Some(std::process::id());
        let opened = if handed {
            match variable("LISTEN_FDS").as_deref() {
                Some("1") => adopt().map(|socket| Self { socket, own: None }),
                other => {
                    return Err(format!(
                        "LISTEN_FDS {}: exactly one socket is to be handed over",
                        other.unwrap_or_default()
                    ));
                }
            }
        } else {
            Self::bind(path)
        };
        let opened = opened.and_then(|listener| {
            listener.socket.set_nonblocking(true)?;
            Ok(listener)
        });
        opened.map_err(|e| {
            let which =
                if handed { "the socket handed over".into() } else { path.display().to_string() };
            format!("listening on {which}: {e}")
        })
    }

    fn bind(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::other("another daemon answers there"));
            }
            fs::remove_file(path)?;
        }
        let socket = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        Ok(Self { socket, own: Some(path.to_owned()) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.own {
            let _ = fs::remove_file(path);
        }
    }
}

#[expect(unsafe_code, reason = "a descriptor that another process left open is a number")]
fn adopt() -> io::Result<UnixListener> {
    use std::os::fd::FromRawFd as _;
    // SAFETY: systemd opened it for this process alone, as LISTEN_PID says, and nobody here has it
    // yet: this is called once, before anything else is opened.
    let socket = unsafe { UnixListener::from_raw_fd(FIRST) };
    // Fails where it is no Unix socket.
    socket.local_addr()?;
    Ok(socket)
}
