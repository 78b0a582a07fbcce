//! What the file of an address says.

use std::collections::BTreeSet;
use std::fmt;

use cni::{Attachment, ContainerId, IfName};

/// The content of an address file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// There is no file.
    Missing,
    /// A file without a holder: empty, or not text. The address is free.
    Free,
    /// Somebody holds the address.
    Held(Holder),
}

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The container's id, or what else stands in the first line.
    pub container: String,
    /// The interface; files of the oldest versions have none, and match every interface.
    pub ifname: Option<String>,
}

impl Content {
    /// What a file of these bytes says. A file that was torn by a crash is empty or has NULs where
    /// blocks were not written; whatever is text is a holder, since nobody else can tell whether
    /// it is somebody's reservation.
    pub fn of(bytes: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(bytes) else { return Self::Free };
        let text = text.trim();
        let torn = text.chars().any(|c| c.is_control() && !c.is_whitespace());
        if text.is_empty() || torn {
            return Self::Free;
        }
        let (container, ifname) = match text.split_once('\n') {
            Some((container, ifname)) => (container.trim(), Some(ifname.trim().to_owned())),
            None => (text, None),
        };
        Self::Held(Holder { container: container.to_owned(), ifname })
    }
}

impl Holder {
    /// The bytes of an address file of `attachment`.
    pub fn bytes(attachment: &Attachment) -> Vec<u8> {
        format!("{}\r\n{}", attachment.container, attachment.ifname).into_bytes()
    }

    /// True when the holder is `attachment`, or its container in a file without interface name.
    pub fn is(&self, attachment: &Attachment) -> bool {
        self.container == attachment.container.as_str()
            && self.ifname.as_deref().is_none_or(|ifname| ifname == attachment.ifname.as_str())
    }

    /// True when an index entry of `container` may lead here: ids can share a hash.
    pub fn hashes_like(&self, container: &ContainerId) -> bool {
        super::index::hash(&self.container) == super::index::hash(container.as_str())
    }

    /// True when `valid` lists the holder, or when it is nothing that a runtime can have written.
    pub fn stays(&self, valid: &BTreeSet<(ContainerId, IfName)>) -> bool {
        let Ok(container) = self.container.parse::<ContainerId>() else { return true };
        match &self.ifname {
            None => valid.iter().any(|(id, _)| *id == container),
            Some(ifname) => match ifname.parse::<IfName>() {
                Ok(ifname) => valid.contains(&(container, ifname)),
                Err(_) => true,
            },
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ifname {
            Some(ifname) => write!(f, "container {}, interface {ifname}", self.container),
            None => write!(f, "container {}", self.container),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(container: &str, ifname: Option<&str>) -> Content {
        Content::Held(Holder { container: container.into(), ifname: ifname.map(Into::into) })
    }

    #[test]
    fn new_and_old_files_are_read() {
        assert_eq!(Content::of(b"c1\r\neth0"), holder("c1", Some("eth0")));
        assert_eq!(Content::of(b" c1\r\neth0\r\n"), holder("c1", Some("eth0")));
        assert_eq!(Content::of(b"c1"), holder("c1", None));
        assert_eq!(Content::of(b"c1\n"), holder("c1", None));
        assert_eq!(Content::of(b"kept for the printer"), holder("kept for the printer", None));
    }

    #[test]
    fn empty_and_torn_files_are_free() {
        for bytes in [&b""[..], b" \r\n", b"\0\0\0\0", b"c1\r\n\0\0\0\0", b"\xff\xfe"] {
            assert_eq!(Content::of(bytes), Content::Free, "{bytes:?}");
        }
    }
}
