//! Attributes of sysfs: short texts, numbers, links and directories.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use cni::{Code, Error};

/// The kernel writes at most a page (fs/sysfs/file.c).
const PAGE: u64 = 4096;

/// A number, as `0x8086`, `17` or `-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Decimal,
    Hexadecimal,
}

/// A text without its line's end; `None` where there is no such attribute or it is empty.
pub fn text(path: &Path) -> Result<Option<String>, Error> {
    Ok(raw(path)?.filter(|text| !text.is_empty()))
}

/// A number that fits the type; `None` where there is no such attribute.
pub fn number<T: TryFrom<i64>>(path: &Path, base: Base) -> Result<Option<T>, Error> {
    let Some(text) = raw(path)? else { return Ok(None) };
    let (digits, radix) = match base {
        Base::Decimal => (text.as_str(), 10),
        Base::Hexadecimal => (text.strip_prefix("0x").unwrap_or(&text), 16),
    };
    let number = i64::from_str_radix(digits, radix).ok().and_then(|n| T::try_from(n).ok());
    number.map(Some).ok_or_else(|| malformed(path, &text, "the number that belongs there"))
}

/// The last part of what a link leads to; `None` where there is no such link.
pub fn link(path: &Path) -> Result<Option<String>, Error> {
    let target = match fs::read_link(path) {
        Ok(target) => target,
        Err(e) if lacks(&e) => return Ok(None),
        Err(e) => return Err(unreadable(path, &e)),
    };
    match target.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(Some(name.to_owned())),
        None => {
            Err(malformed(path, &target.to_string_lossy(), "a link to a device, driver or group"))
        }
    }
}

/// The names in a directory in order; none where there is no such directory. Names that are not UTF-8
/// are nothing of the kernel's.
pub fn names(path: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if lacks(&e) => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(path, &e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| unreadable(path, &e))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// What is there is not what the kernel writes.
pub fn malformed(path: &Path, value: &str, wanted: &str) -> Error {
    let msg = format!("read {}: {} is not {wanted}", path.display(), quoted(value));
    Error::new(Code::IO, msg).details("see that the kernel's own sysfs is mounted there")
}

/// A text for an error: escaped, and not longer than a line.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 64;
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start:?}...")
}

/// What exists cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Error {
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied => "this needs to be run as root",
        _ => "see that sysfs is mounted there",
    };
    Error::new(Code::IO, format!("read {}: {error}", path.display())).details(mend)
}

fn raw(path: &Path) -> Result<Option<String>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(PAGE + 1).read_to_end(&mut bytes)) {
        Ok(read) if read as u64 > PAGE => {
            let start = String::from_utf8_lossy(&bytes);
            return Err(malformed(path, &start, "an attribute, which has 4096 bytes at most"));
        }
        Ok(_) => {}
        Err(e) if lacks(&e) => return Ok(None),
        Err(e) => return Err(unreadable(path, &e)),
    }
    let text = str::from_utf8(&bytes)
        .map_err(|_| malformed(path, &String::from_utf8_lossy(&bytes), "text"))?;
    Ok(Some(text.trim_end_matches('\n').to_owned()))
}

/// True where the device has no such attribute, its driver does not serve it, or the device has just
/// gone. EINVAL is the answer of net-sysfs for a link that is being removed and for one without the
/// attribute's meaning.
fn lacks(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput
    ) || matches!(error.raw_os_error(), Some(EOPNOTSUPP | ENODEV | ENODATA))
}

// From include/uapi/asm-generic/errno*.h.
const ENODEV: i32 = 19;
const ENODATA: i32 = 61;
const EOPNOTSUPP: i32 = 95;
