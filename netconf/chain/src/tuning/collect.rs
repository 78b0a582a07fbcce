//! Bringing back what attachments changed that nobody else will: DEL of a file, and GC.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cni::{Attachment, Code, Error, GcCall};
use kernel::Netns;

use super::backup::{self, Backup};
use super::config;

/// Brings back what a file says, where the container's namespace is still there, and removes the file.
pub fn release(path: &Path, before: &Backup, netns: Option<&Path>) -> Result<(), Error> {
    let found = match netns {
        Some(netns) => Netns::find(netns)?,
        None => None,
    };
    if let Some(netns) = found {
        let socket = netns.socket()?;
        if before.owner.is_some() {
            before.restore(&netns, &socket)?;
        } else {
            Error::all(before.restore_link(&socket, &ifname_of(path), None)?)?;
        }
    }
    backup::remove(path)
}

/// The interface that a file of the reference is of: its names have no `_`, as a rule.
fn ifname_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.rsplit_once('_').map_or_else(String::new, |(_, ifname)| ifname.to_owned())
}

/// Releases the files of the network's attachments that are not listed.
pub fn gc(call: &GcCall) -> Result<(), Error> {
    let Some(valid) = &call.valid else { return Ok(()) };
    let network = &call.conf.network;
    let directory = config::directory(&call.conf);
    let keep: BTreeSet<PathBuf> = valid
        .iter()
        .map(|(container, ifname)| {
            let (container, ifname) = (container.clone(), ifname.clone());
            backup::path(&directory, &Attachment { network: network.clone(), container, ifname })
        })
        .collect();
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => {
            let msg = format!("dataDir: list {}: {e}", directory.display());
            return Err(Error::new(Code::IO, msg));
        }
    };
    let mut errors = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.extension().is_none_or(|e| e != "json") || keep.contains(&path) {
            continue;
        }
        // The reference's files do not tell their network.
        let outcome = Backup::read(&path).and_then(|before| match before {
            Some(before)
                if before.owner.as_ref().is_some_and(|o| o.network == network.as_str()) =>
            {
                let netns = before.owner.as_ref().map(|owner| owner.netns.clone());
                release(&path, &before, netns.as_deref())
            }
            _ => Ok(()),
        });
        errors.extend(outcome.err());
    }
    Error::all(errors)
}
