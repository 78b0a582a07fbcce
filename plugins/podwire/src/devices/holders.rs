//! Which processes live in a network namespace, and which have a device node open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use cni::{Code, Error};
use serde::Serialize;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::entry::Entry;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Process {
    pub pid: u32,
    pub name: String,
}

/// What tells a file from all others: a device's number, by whatever path it was opened, else its place.
type Key = (bool, u64, u64);

/// The processes by what they hold.
#[derive(Default)]
pub struct Holders {
    namespaces: BTreeMap<Key, BTreeSet<Process>>,
    nodes: BTreeMap<Key, BTreeSet<Process>>,
}

impl Holders {
    /// Fills in the processes of every owner and every node. Processes that may not be looked into are a
    /// note.
    pub fn find(entries: &mut [Entry], notes: &mut Vec<Error>) {
        let needed = |entry: &Entry| entry.owner.is_some() || !entry.nodes.is_empty();
        if !entries.iter().any(needed) {
            return;
        }
        let holders = Self::of_all_processes(notes);
        for entry in entries {
            let open = entry.nodes.iter().filter(|node| !is_shared(node)).filter_map(|n| key_at(n));
            let processes = open.filter_map(|key| holders.nodes.get(&key)).flatten();
            entry.opened_by = processes.cloned().collect::<BTreeSet<_>>().into_iter().collect();
            let Some(owner) = &mut entry.owner else { continue };
            // After a reboot another namespace may be at the path.
            if let Some(key) = key_at(&owner.netns).filter(|_| !owner.stale) {
                owner.processes =
                    holders.namespaces.get(&key).into_iter().flatten().cloned().collect();
            }
        }
    }

    fn of_all_processes(notes: &mut Vec<Error>) -> Self {
        let mut holders = Self::default();
        let mut system = match System::new() {
            Ok(system) => system,
            Err(e) => {
                let msg = format!("who holds a device is not known: {e}");
                notes.push(Error::new(Code::IO, msg));
                return holders;
            }
        };
        let nothing_more = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, nothing_more);
        let own = std::process::id();
        let mut closed = 0_usize;
        for (pid, process) in system.processes() {
            let pid = pid.as_u32();
            if pid == own {
                continue;
            }
            let name = process.name().to_string_lossy().into_owned();
            match holders.look_into(&Process { pid, name }) {
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => closed += 1,
                // It has ended.
                Err(_) | Ok(()) => {}
            }
        }
        if closed > 0 {
            let msg = "who holds devices is not known of all processes";
            let mend = "root may examine all, unless a security policy keeps it from that";
            let why = format!("{closed} may not be examined");
            notes.push(Error::new(Code::IO, msg).details(why).details(mend));
        }
        holders
    }

    fn look_into(&mut self, process: &Process) -> io::Result<()> {
        let proc = Path::new("/proc").join(process.pid.to_string());
        let netns = key(&fs::metadata(proc.join("ns/net"))?);
        self.namespaces.entry(netns).or_default().insert(process.clone());
        for descriptor in fs::read_dir(proc.join("fd"))? {
            let path = descriptor?.path();
            // Closed meanwhile, when there is none.
            let Ok(target) = fs::read_link(&path) else { continue };
            // Any other file is left alone: to examine one on a dead file server would hang.
            if is_node(&target)
                && let Ok(metadata) = fs::metadata(&path)
            {
                self.nodes.entry(key(&metadata)).or_default().insert(process.clone());
            }
        }
        Ok(())
    }
}

/// Nodes that serve all devices.
fn is_shared(node: &Path) -> bool {
    ["vfio/vfio", "iommu", "infiniband/rdma_cm"].iter().any(|shared| node.ends_with(shared))
}

/// A path that could be a device's node, in whatever /dev.
fn is_node(path: &Path) -> bool {
    let mut parts = path.components().rev().filter_map(|part| part.as_os_str().to_str());
    parts.next().is_some_and(|name| name.starts_with("uio"))
        || parts.take(2).any(|directory| directory == "vfio" || directory == "infiniband")
}

fn key_at(path: &Path) -> Option<Key> {
    fs::metadata(path).ok().map(|metadata| key(&metadata))
}

fn key(metadata: &Metadata) -> Key {
    if metadata.file_type().is_char_device() {
        (true, metadata.rdev(), 0)
    } else {
        (false, metadata.dev(), metadata.ino())
    }
}
