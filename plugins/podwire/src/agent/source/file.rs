//! The fleet in a file that is the same for every node, in a directory with a file for each node, or
//! in the plugin's own peer file.

mod directory;
mod read;

use std::path::PathBuf;

use cni::Error;

use super::{Feed, Following, Snapshot, Source};
use crate::agent::watch::Changes;
use directory::Directory;

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
            return Snapshot::of(text, Vec::new(), &what);
        };
        let what = format!("fleet {}", self.path.display());
        if self.path.is_dir() {
            return self.directory.read(&self.path, node, &what);
        }
        let text = read::whole(&self.path).map_err(|e| read::failed(&what, &e))?;
        Snapshot::seen_from(&text, node, &what)
    }

    async fn run(mut self, feed: Feed) {
        let mut changes = Changes::of(&self.path);
        loop {
            match self.read() {
                Ok(snapshot) => feed.tell(snapshot),
                Err(error) => feed.fail(error),
            }
            changes.next().await;
        }
    }
}

impl Source for Files {
    fn follow(self: Box<Self>, feed: Feed) -> Following {
        Box::pin(self.run(feed))
    }
}
