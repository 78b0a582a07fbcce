//! The label that SELinux gives what a program makes.

use std::fs;
use std::io;
use std::path::Path;

use crate::{Error, Result, fault};

/// Where the label of the next program that the thread executes is set (`setexeccon`(3)).
const NEXT: &str = "/proc/thread-self/attr/exec";

/// True when the kernel enforces, or would tell of, a policy of SELinux.
pub fn is_enabled() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// As long as it lives, what the calling thread executes runs under a label: `runcon CONTEXT ...`
#[derive(Debug)]
pub struct NextProgram(());

impl NextProgram {
    /// Sets the label. EINVAL when the policy knows no such one, EACCES when it forbids.
    pub fn labelled(context: &str) -> Result<Self> {
        fault::point("set the label of the next program")
            .and_then(|()| fs::write(NEXT, context))
            .map_err(|e: io::Error| Error::new("set the label of the next program", context, e))?;
        Ok(Self(()))
    }
}

impl Drop for NextProgram {
    fn drop(&mut self) {
        // An empty text is the word for none. The process is about to end in any case.
        let _ = fs::write(NEXT, "");
    }
}
