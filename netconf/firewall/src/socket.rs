//! The socket that a thread keeps.
//!
//! Closing a socket to netfilter soon after something was deleted waits, ten milliseconds and
//! more, until the kernel has freed what was deleted (`nft_rcv_nl_event`). Where it may make an
//! io_uring, `kernel::netfilter` leaves that to the kernel; where not, a socket that is kept is closed
//! when the process ends, and the freeing goes on beside whatever is done until then, such as the
//! removal of a link. A second socket beside it would be closed early and wait: who has one hands it on.

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt as _;

use kernel::netfilter::Socket;
use kernel::{Error, Result};

use crate::nft;

/// A namespace, by its file: a socket stays in the one that it was opened in.
type Namespace = (u64, u64);

thread_local! {
    static KEPT: RefCell<Option<(Namespace, Socket)>> = const { RefCell::new(None) };
}

/// Does something with a socket in the thread's namespace.
pub(crate) fn with_socket<T>(job: impl FnOnce(&mut Socket) -> Result<T>) -> Result<T> {
    let here = std::fs::metadata("/proc/thread-self/ns/net").map(|m| (m.dev(), m.ino())).ok();
    let kept = KEPT.with(|kept| kept.borrow_mut().take());
    let mut socket = match kept {
        Some((namespace, socket)) if Some(namespace) == here => socket,
        _ => Socket::open()?,
    };
    let done = job(&mut socket);
    if let (Some(here), Ok(_)) = (here, &done) {
        KEPT.with(|kept| kept.replace(Some((here, socket))));
    }
    done
}

/// The same, or `None` when this kernel has no nf_tables, so nothing in it either.
pub(crate) fn with_socket_if_any<T>(
    job: impl FnOnce(&mut Socket) -> Result<T>,
) -> Result<Option<T>> {
    let done = with_socket(|socket| match socket.get(nft::generation()) {
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(e),
        Ok(_) => job(socket).map(Some),
    });
    match done {
        // Only a socket that could not be opened ends here without having been asked.
        Err(e) if e.errno() == libc::EPROTONOSUPPORT => Ok(None),
        done => done,
    }
}

/// True when this kernel has no nf_tables. EINVAL is nfnetlink's word for a subsystem that it does
/// not have.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error.errno(), libc::EINVAL | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT)
}
