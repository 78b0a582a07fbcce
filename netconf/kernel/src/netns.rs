//! A network namespace, held open.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, fstatfs};

use crate::{Error, Result, Socket, lock};

/// `NSFS_MAGIC` (include/uapi/linux/magic.h).
const NSFS: FsType = FsType(0x6e73_6673);

/// What opening a path says that leads to no file, or to one that cannot be a namespace.
const NOTHING_THERE: [i32; 6] =
    [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG, libc::ENXIO, libc::ENODEV];

/// A network namespace that stays alive as long as this value, even when its path vanishes.
#[derive(Debug)]
pub struct Netns {
    file: File,
    path: PathBuf,
}

impl Netns {
    /// Opens the namespace at `path` (`CNI_NETNS`). `None` when there is none: the path is gone,
    /// or it is an ordinary file, which is what remains where a namespace was mounted before a
    /// reboot or `umount`.
    pub fn find(path: &Path) -> Result<Option<Self>> {
        // Opening a FIFO or a device must not wait for anybody.
        let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = match opened {
            Ok(file) => file,
            Err(e) if e.raw_os_error().is_some_and(|errno| NOTHING_THERE.contains(&errno)) => {
                return Ok(None);
            }
            Err(e) => return Err(Error::new("open the network namespace", path.display(), e)),
        };
        let kind = fstatfs(&file)
            .map_err(|e| Error::new("examine the network namespace", path.display(), e.into()))?
            .filesystem_type();
        let is_network = kind == NSFS && kind_of_namespace(&file) == Some(libc::CLONE_NEWNET);
        Ok(is_network.then(|| Self { file, path: path.to_owned() }))
    }

    /// The number by which the kernel tells the calling thread's namespace from the others that
    /// exist now (`readlink /proc/thread-self/ns/net`).
    pub fn own_number() -> Result<u64> {
        const OWN: &str = "/proc/thread-self/ns/net";
        let fail = |e| Error::new("examine the network namespace", OWN, e);
        Ok(std::fs::metadata(OWN).map_err(fail)?.ino())
    }

    /// The calling thread's own namespace: where links that come back go.
    pub fn own() -> Result<Self> {
        let path = PathBuf::from("/proc/thread-self/ns/net");
        let opened = File::open(&path);
        let file =
            opened.map_err(|e| Error::new("open the network namespace", path.display(), e))?;
        Ok(Self { file, path })
    }

    /// The namespace of process 1, where the kernel sends a device whose namespace died: it is the
    /// initial one unless the caller lives in a container. `None` when it is the calling thread's own,
    /// or may not be seen.
    pub fn initial() -> Option<Self> {
        let path = PathBuf::from("/proc/1/ns/net");
        let file = File::open(&path).ok()?;
        let number = file.metadata().ok()?.ino();
        (Self::own_number().ok()? != number).then_some(Self { file, path })
    }

    /// A number that no other namespace has had since the boot (`SO_NETNS_COOKIE`, since 5.14), on
    /// older kernels the one of its file, which may be used again once it is gone.
    pub fn cookie(&self) -> Result<u64> {
        let fail =
            |e: io::Error| Error::new("examine the network namespace", self.path.display(), e);
        // What keeps the kernel from telling for the moment must not make a number of another sort.
        let told = self.enter(|| own_cookie().map_err(fail))?;
        told.map_or_else(|| Ok(self.file.metadata().map_err(fail)?.ino()), Ok)
    }

    /// Opens the namespace at `path` for an ADD or a CHECK. Code 8 when it is missing, is no
    /// namespace, or is the one that the caller lives in.
    pub fn open(path: &Path) -> Result<Self, cni::Error> {
        let code = |msg: String, mend: &str| {
            cni::Error::new(cni::Code::NETNS, format!("CNI_NETNS {}: {msg}", path.display()))
                .details(mend)
        };
        let netns = match Self::find(path) {
            Ok(Some(netns)) => netns,
            Ok(None) if path.exists() => {
                return Err(code(
                    "is not a network namespace".to_owned(),
                    "the runtime has to mount a namespace there, as `ip netns add` does",
                ));
            }
            Ok(None) => {
                return Err(code(
                    "does not exist".to_owned(),
                    "the container may be gone, or the path is of another mount namespace",
                ));
            }
            Err(e) => return Err(code(e.source.to_string(), "")),
        };
        if netns.is_own() {
            return Err(code(
                "is the network namespace that the plugin itself runs in".to_owned(),
                "set CNI_NETNS_OVERRIDE=1 if that is meant",
            ));
        }
        Ok(netns)
    }

    /// True when it is the calling process's own namespace and `CNI_NETNS_OVERRIDE` does not
    /// allow that.
    fn is_own(&self) -> bool {
        let allowed = std::env::var("CNI_NETNS_OVERRIDE")
            .is_ok_and(|v| v == "1" || v.eq_ignore_ascii_case("true"));
        let same = |own: std::fs::Metadata| {
            self.file.metadata().is_ok_and(|m| m.ino() == own.ino() && m.dev() == own.dev())
        };
        !allowed && std::fs::metadata("/proc/thread-self/ns/net").is_ok_and(same)
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its file descriptor, for a link that is to be created in it.
    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Keeps others who do the same out until this value is gone, and waits for them as long as `patience`.
    /// The namespace's own file is what is locked, by whatever path: nothing is left behind, and the
    /// reference's `sbr` locks it, too. EAGAIN when somebody else has it all the time.
    pub fn lock(&self, patience: Duration) -> Result<()> {
        const OP: &str = "lock the network namespace";
        let path = &self.path;
        let locked = crate::fault::point(OP).and_then(|()| lock::within(&self.file, patience));
        if locked.map_err(|e| Error::new(OP, path.display(), e))? {
            return Ok(());
        }
        let seconds = patience.as_secs();
        let on = format!(
            "{}, which another process has had locked for {seconds} seconds",
            path.display()
        );
        Err(Error::new(OP, on, io::Error::from_raw_os_error(libc::EAGAIN)))
    }

    /// Runs `visit` with the calling thread inside the namespace, and brings it back. Files under
    /// `/proc/sys/net` and new sockets are the namespace's there (`ip netns exec`).
    ///
    /// The thread itself goes, because starting another one for it takes longer than what is done
    /// there: up to milliseconds on a busy node.
    pub fn enter<T>(&self, visit: impl FnOnce() -> Result<T>) -> Result<T> {
        let fail = |e: io::Error| Error::new("enter the network namespace", self.path.display(), e);
        crate::fault::point("enter the network namespace").map_err(fail)?;
        let home = Home::here().map_err(fail)?;
        setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|e| fail(e.into()))?;
        let outcome = visit();
        drop(home);
        outcome
    }

    /// Runs `visit` with the calling thread in a fresh namespace that ends with the visit: a place to
    /// try what this kernel can do.
    pub fn trial<T>(visit: impl FnOnce() -> Result<T>) -> Result<T> {
        let fail = |e: io::Error| Error::new("make a network namespace for", "a trial", e);
        crate::fault::point("make a network namespace").map_err(fail)?;
        let home = Home::here().map_err(fail)?;
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| fail(e.into()))?;
        let outcome = visit();
        drop(home);
        outcome
    }

    /// A route socket in the namespace.
    pub fn socket(&self) -> Result<Socket> {
        self.enter(Socket::open)
    }
}

/// The kind of a namespace, as the `CLONE_NEW*` flag that makes one.
#[expect(unsafe_code, reason = "nix has no wrapper of this ioctl")]
fn kind_of_namespace(file: &File) -> Option<libc::c_int> {
    /// `NS_GET_NSTYPE` (include/uapi/linux/nsfs.h)
    const GET_KIND: libc::Ioctl = 0xb703;
    // SAFETY: this ioctl takes no argument and touches no memory; the descriptor is open.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), GET_KIND) };
    (kind >= 0).then_some(kind)
}

/// The calling thread's namespace's cookie, `None` on kernels without. An error, such as that of a
/// process with too many open files, says nothing of the namespace.
#[expect(unsafe_code, reason = "nix has no wrapper of this option")]
fn own_cookie() -> io::Result<Option<u64>> {
    /// include/uapi/asm-generic/socket.h
    const SO_NETNS_COOKIE: libc::c_int = 71;
    crate::fault::point("ask for the namespace's number")?;
    let socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of::<u64>()).map_err(io::Error::other)?;
    // SAFETY: both pointers lead to values that live through the call, and `length` is the size of
    // the first.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if outcome == 0 {
        return Ok(Some(cookie));
    }
    match io::Error::last_os_error() {
        e if e.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        e => Err(e),
    }
}

/// The way back, taken even when the visit panics.
struct Home(File);

impl Home {
    fn here() -> io::Result<Self> {
        File::open("/proc/thread-self/ns/net").map(Self)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).is_err() {
            // Whatever came next would be done to the container instead of the node.
            std::process::abort();
        }
    }
}
