//! Waking up when a path leads to something else, or to something that has changed.
//!
//! Directories are watched, not files: a file is replaced by renaming another over it, and one that
//! is mounted from a ConfigMap is a link whose target's directory is swapped.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// A subscription.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
    wakes: mpsc::Receiver<()>,
    at: Vec<(PathBuf, Option<Identity>)>,
}

/// Device and inode.
type Identity = (u64, u64);

impl Watch {
    /// Subscribes to what the path leads to. Fails where there is no directory.
    pub fn on(path: &Path) -> notify::Result<Self> {
        let (wake, wakes) = mpsc::channel(1);
        let at = directories(path);
        let concern = Concern { name: plain_name(path), directories: at.clone() };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| concern.is_met_by(&event)) {
                // When it is full, somebody is about to wake up anyway.
                let _ = wake.try_send(());
            }
        })?;
        for directory in &at {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        let known = |directory: PathBuf| {
            let identity = identity(&directory);
            (directory, identity)
        };
        Ok(Self { _watcher: watcher, wakes, at: at.into_iter().map(known).collect() })
    }

    /// Waits for a change. True when there was one.
    pub async fn changed(&mut self) -> bool {
        self.wakes.recv().await.is_some()
    }

    /// True when the path leads elsewhere by now.
    pub fn is_stale(&self, path: &Path) -> bool {
        let now = directories(path);
        now.len() != self.at.len()
            || std::iter::zip(&now, &self.at)
                .any(|(now, (at, known))| now != at || identity(now) != *known)
    }
}

/// The directories in which a change would show.
fn directories(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return vec![path.to_owned()];
    }
    let parent = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).to_owned()
    };
    let own = parent(path);
    let target = fs::canonicalize(path).ok().map(|target| parent(&target));
    let other = target.filter(|target| identity(target) != identity(&own));
    std::iter::once(own).chain(other).collect()
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

/// The name of what is a file, or nothing yet. Of a directory all files matter, and where there is a
/// link, who knows.
fn plain_name(path: &Path) -> Option<OsString> {
    let plain = fs::symlink_metadata(path).map_or(true, |about| about.is_file());
    path.file_name().filter(|_| plain).map(ToOwned::to_owned)
}

/// Which events matter.
struct Concern {
    name: Option<OsString>,
    directories: Vec<PathBuf>,
}

impl Concern {
    fn is_met_by(&self, event: &Event) -> bool {
        // Who only reads changes nothing: we do ourselves.
        let changes = match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        };
        let matters = |path: &PathBuf| {
            let named = self.name.as_deref().is_none_or(|name| path.file_name() == Some(name));
            named || self.directories.contains(path)
        };
        changes && (event.paths.is_empty() || event.paths.iter().any(matters))
    }
}
