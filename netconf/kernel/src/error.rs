//! What the kernel said no to.

use std::fmt;
use std::io;

/// A refused operation: what was tried, on what, and the kernel's reason.
#[derive(Debug)]
pub struct Error {
    /// What was tried, as a verb phrase: "create the bridge".
    pub op: String,
    /// On what: a link's name, a path, a route.
    pub on: String,
    /// The kernel's errno.
    pub source: io::Error,
    /// The kernel's own words (extended ack), where it gave any.
    pub ext_ack: Option<String>,
}

/// The result of an operation on the kernel.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without extended ack.
    pub fn new(op: impl Into<String>, on: impl fmt::Display, source: io::Error) -> Self {
        Self { op: op.into(), on: on.to_string(), source, ext_ack: None }
    }

    /// The errno, 0 where there is none.
    pub fn errno(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(0)
    }

    /// True when the kernel says that the object does not exist: ENODEV, ENOENT, ESRCH,
    /// EADDRNOTAVAIL, ENXIO.
    pub fn is_gone(&self) -> bool {
        matches!(
            self.errno(),
            libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENXIO
        )
    }

    /// True for EEXIST.
    pub fn is_exists(&self) -> bool {
        self.errno() == libc::EEXIST
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.op, self.on, self.source)?;
        match &self.ext_ack {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// EBUSY, ENOBUFS, EAGAIN and EINTR may pass (code 11); the rest is code 100.
impl From<Error> for cni::Error {
    fn from(error: Error) -> Self {
        let code = match error.errno() {
            libc::EBUSY | libc::ENOBUFS | libc::EAGAIN | libc::EINTR => cni::Code::TRY_AGAIN,
            _ => cni::Code::KERNEL,
        };
        let words = error.ext_ack.map(|text| format!("the kernel says: {text}"));
        Self::new(code, format!("{} {}: {}", error.op, error.on, error.source))
            .details(words.unwrap_or_default())
    }
}
