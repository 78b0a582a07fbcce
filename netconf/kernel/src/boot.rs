//! Which boot this is.

use crate::{Error, Result};

/// A text that no other boot has (`cat /proc/sys/kernel/random/boot_id`).
pub fn boot_id() -> Result<String> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(PATH).map_err(|e| Error::new("read", PATH, e))?;
    Ok(text.trim_end().to_owned())
}
