//! Closing a socket without waiting for what the kernel frees.
//!
//! Who deletes something from a ruleset and closes the socket, or ends, waits until all readers
//! have let go of it, some 15 ms (`net/netfilter/nf_tables_api.c`, `nft_rcv_nl_event`, which
//! flushes the work that calls `synchronize_rcu`). Whoever waits for the process waits too, though
//! the deletion itself has long taken effect. A file that an io_uring has registered stays open as
//! long as the ring, and the kernel takes a ring down in a worker of its own
//! (`io_uring/io_uring.c`, `io_ring_exit_work`). No request ever goes through this ring.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use libc::{c_long, c_uint};

/// `IORING_REGISTER_FILES` (`include/uapi/linux/io_uring.h`)
const REGISTER_FILES: c_uint = 2;
/// `struct io_uring_params`, all of it u32 in pairs or alone: no flag is wanted, and of what the
/// kernel writes into it nothing is read.
type Parameters = [u32; 30];

/// What keeps a file open until the kernel gets to closing it.
#[derive(Debug)]
pub(super) struct Behind {
    _ring: OwnedFd,
}

/// `None` where there is no io_uring for us (before 5.1, `kernel.io_uring_disabled`, a seccomp
/// filter): closing the file then waits.
#[expect(unsafe_code, reason = "nix and libc have no wrapper of these system calls")]
pub(super) fn behind(file: BorrowedFd<'_>) -> Option<Behind> {
    const { assert!(size_of::<Parameters>() == 120) };
    let mut parameters: Parameters = [0; 30];
    let entries: c_uint = 1;
    // SAFETY: the kernel reads and writes `parameters`, which has the size of its structure and
    // outlives the call.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, &raw mut parameters) };
    // SAFETY: the kernel has just made this descriptor, with close-on-exec, and nobody else has it.
    let ring = unsafe { OwnedFd::from_raw_fd(descriptor(ring)?) };
    let files = [file.as_raw_fd()];
    let count: c_uint = 1;
    // SAFETY: `files` has `count` descriptors and outlives the call, which only reads it.
    let registered = unsafe {
        let (ring, files) = (ring.as_raw_fd(), files.as_ptr());
        libc::syscall(libc::SYS_io_uring_register, ring, REGISTER_FILES, files, count)
    };
    (registered == 0).then_some(Behind { _ring: ring })
}

/// A descriptor, unless the call has failed.
fn descriptor(outcome: c_long) -> Option<i32> {
    i32::try_from(outcome).ok().filter(|descriptor| *descriptor >= 0)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsFd as _;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::behind;

    #[test]
    fn a_file_is_open_until_the_ring_has_gone() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let Some(held) = behind(writer.as_fd()) else {
            return testkit::not_run("there is no io_uring");
        };
        drop(writer);
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("does not block");
        let still_open = reader.read(&mut [0]).expect_err("no end yet");
        assert_eq!(still_open.kind(), std::io::ErrorKind::WouldBlock);
        drop(held);
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty())).expect("blocks");
        assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
    }
}
