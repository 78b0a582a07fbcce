//! The fleet in a file that is the same for every node, in a directory with a file for each node, or
//! in the plugin's own peer file.

mod directory;
mod fleet;
mod read;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use cni::Error;
use peers::Fleet;

use super::{Feed, Following, Snapshot, Source};
use crate::agent::backoff::Backoff;
use directory::Directory;
use watch::Watch;

/// What is written in several steps is read when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(20);
/// Whether what is watched is still what the path leads to is looked at so often, too: nobody tells of
/// a directory above that is put in the place of another.
const LOOK: Duration = Duration::from_secs(10);

/// A path that is read whenever it changes.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    /// This node's name; `None` for a peer file, which says itself who is local.
    node: Option<String>,
    directory: Directory,
}

impl Files {
    /// What is at the path, as the node of this name sees it.
    pub fn new(path: PathBuf, node: Option<String>) -> Self {
        Self { path, node, directory: Directory::default() }
    }

    fn read(&mut self) -> Result<Snapshot, Error> {
        let Some(node) = &self.node else {
            let what = format!("peersFile {}", self.path.display());
            let text = read::whole(&self.path).map_err(|e| read::failed(&what, &e))?;
            Fleet::parse(&text, &what)?;
            return Ok(Snapshot { text, faults: Vec::new() });
        };
        let what = format!("fleet {}", self.path.display());
        if self.path.is_dir() {
            return self.directory.read(&self.path, node, &what);
        }
        let text = read::whole(&self.path).map_err(|e| read::failed(&what, &e))?;
        let text = fleet::seen_from(&text, node, &what)?;
        Ok(Snapshot { text, faults: Vec::new() })
    }

    async fn run(mut self, feed: Feed) {
        let mut backoff = Backoff::new(Duration::from_millis(200), LOOK);
        loop {
            // Before it is read, so that no change slips through.
            let watch = Watch::on(&self.path);
            match self.read() {
                Ok(snapshot) => feed.tell(snapshot),
                Err(error) => feed.fail(error),
            }
            let Ok(mut watch) = watch else {
                // There is not even a directory; reading has told so.
                tokio::time::sleep(backoff.next()).await;
                continue;
            };
            backoff.reset();
            while !watch.is_stale(&self.path) {
                if tokio::time::timeout(LOOK, watch.changed()).await.is_err() {
                    continue;
                }
                while tokio::time::timeout(QUIET, watch.changed()).await.is_ok_and(|more| more) {}
                break;
            }
        }
    }
}

impl Source for Files {
    fn follow(self: Box<Self>, feed: Feed) -> Following {
        Box::pin(self.run(feed))
    }
}
