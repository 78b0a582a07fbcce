//! Waking up when a path leads to something else, or to something that has changed.
//!
//! Directories are watched, not files: a file is replaced by renaming another over it, and one that
//! is mounted from a ConfigMap is a link whose target's directory is swapped.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::backoff::Backoff;

/// What is written in several steps is read when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(20);
/// Somebody may write all the time.
const MOST: Duration = Duration::from_millis(200);
/// Between two readings, so that many changes at once are read as one.
const PAUSE: Duration = Duration::from_millis(50);
/// Whether what is watched is still what the path leads to is looked at so often, too: nobody tells of
/// a directory above that is put in the place of another.
const LOOK: Duration = Duration::from_secs(10);
/// Where there is not even a directory, it is looked for after this time and later and later.
const SOON: Duration = Duration::from_millis(200);

/// The changes of what a path leads to. To be made before it is read, and asked for the next one before it
/// is read again, so that no change slips through.
#[derive(Debug)]
pub struct Changes {
    path: PathBuf,
    /// `None` while there is no directory.
    watch: Option<Watch>,
    backoff: Backoff,
    /// The next one is not told before.
    earliest: Instant,
}

impl Changes {
    /// From now on.
    pub fn of(path: &Path) -> Self {
        let watch = Watch::on(path).ok();
        Self {
            path: path.to_owned(),
            watch,
            backoff: Backoff::new(SOON, LOOK),
            earliest: Instant::now(),
        }
    }

    /// Waits until the path may lead to something else than before. Whoever stops to wait may miss one.
    pub async fn next(&mut self) {
        match &mut self.watch {
            Some(watch) => {
                self.backoff.reset();
                watch.ends(&self.path).await;
                sleep_until(self.earliest).await;
            }
            None => sleep(self.backoff.next()).await,
        }
        self.earliest = Instant::now() + PAUSE;
        self.watch = Watch::on(&self.path).ok();
    }
}

/// A file that is watched as long as the value lives.
#[derive(Debug)]
pub struct Watched {
    changed: Arc<Notify>,
    task: AbortHandle,
}

impl Watched {
    /// To be called inside of a runtime.
    pub fn new(path: &Path) -> Self {
        let changed = Arc::new(Notify::new());
        let (told, path) = (changed.clone(), path.to_owned());
        let watch = async move {
            let mut changes = Changes::of(&path);
            loop {
                told.notify_one();
                changes.next().await;
            }
        };
        Self { changed, task: tokio::spawn(watch).abort_handle() }
    }

    /// Waits until it may have changed since this was asked last; the first time it may have.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A subscription.
#[derive(Debug)]
struct Watch {
    _watcher: RecommendedWatcher,
    wakes: mpsc::Receiver<Wake>,
    at: Vec<(PathBuf, Option<Identity>)>,
}

/// Something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    /// It was put in its place in one step.
    Whole,
    /// There may be more to come.
    Part,
}

/// Device and inode.
type Identity = (u64, u64);

impl Watch {
    /// Subscribes to what the path leads to. Fails where there is no directory.
    fn on(path: &Path) -> notify::Result<Self> {
        let (wake, wakes) = mpsc::channel(1);
        let at = directories(path);
        let concern = Concern { name: plain_name(path), directories: at.clone() };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let met = event.map_or(Some(Wake::Part), |event| concern.met_by(&event));
            if let Some(met) = met {
                // When it is full, somebody is about to wake up anyway.
                let _ = wake.try_send(met);
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

    /// Waits until something has changed, or the path leads elsewhere.
    async fn ends(&mut self, path: &Path) {
        while !self.is_stale(path) {
            let Ok(wake) = timeout(LOOK, self.wakes.recv()).await else { continue };
            if wake != Some(Wake::Whole) {
                self.calms_down().await;
            }
            return;
        }
    }

    /// Waits until what is being written is likely to be all.
    async fn calms_down(&mut self) {
        let end = Instant::now() + MOST;
        let quiet = || end.min(Instant::now() + QUIET);
        while timeout_at(quiet(), self.wakes.recv()).await.is_ok_and(|more| more.is_some()) {}
    }

    /// True when the path leads elsewhere by now.
    fn is_stale(&self, path: &Path) -> bool {
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
    /// What an event tells; `None` when it does not matter.
    fn met_by(&self, event: &Event) -> Option<Wake> {
        // Who only reads changes nothing: we do ourselves.
        let changes = match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        };
        let matters = |path: &PathBuf| {
            let named = self.name.as_deref().is_none_or(|name| path.file_name() == Some(name));
            named || self.directories.contains(path)
        };
        // Of a directory, others may follow.
        let whole = matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)));
        let wake = if whole && self.name.is_some() { Wake::Whole } else { Wake::Part };
        (changes && (event.paths.is_empty() || event.paths.iter().any(matters))).then_some(wake)
    }
}
