//! Telling the others of this node, once it can be reached.

use std::time::Duration;

use cni::Error;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::Value;
use tokio::sync::watch;
use tracing::info;

use super::client::failure;
use super::node::Node;
use super::{FIRST, MOST};
use crate::agent::backoff::Backoff;

/// Between two patches: what somebody else keeps undoing is not fought over.
const PAUSE: Duration = Duration::from_secs(1);

/// What this node's object should be patched with.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The description after which it is true: the kernel has to have it first.
    pub version: u64,
    /// A strategic merge patch.
    pub patch: Value,
}

/// Patches this node's object.
pub struct Announcer {
    /// The nodes.
    pub api: Api<Node>,
    /// This node's name.
    pub node: String,
    /// The description that the kernel has.
    pub applied: watch::Receiver<u64>,
    /// What is asked for.
    pub wishes: watch::Receiver<Option<Wish>>,
    /// What became of it.
    pub outcome: watch::Sender<Option<Error>>,
}

impl Announcer {
    /// Does what is asked for, as long as somebody may ask.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST, MOST);
        loop {
            let Some(wish) = self.wishes.borrow_and_update().clone() else {
                self.report(None);
                self.next_wish().await;
                continue;
            };
            tokio::select! {
                applied = self.applied.wait_for(|applied| *applied >= wish.version) => {
                    if applied.is_err() {
                        // The agent ends.
                        return std::future::pending().await;
                    }
                }
                changed = self.wishes.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return std::future::pending().await,
                }
            }
            let doing = format!("patch status of node {}", self.node);
            // Strategic, because conditions are merged by type in it alone.
            let patch = Patch::Strategic(&wish.patch);
            match self.api.patch_status(&self.node, &PatchParams::default(), &patch).await {
                Ok(_) => {
                    info!(node = self.node, patch = %wish.patch, "told the others of this node");
                    backoff.reset();
                    self.report(None);
                    tokio::time::sleep(PAUSE).await;
                    self.next_wish().await;
                }
                Err(error) => {
                    self.report(Some(failure(&doing, &error)));
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next()) => {}
                        () = self.next_wish() => {}
                    }
                }
            }
        }
    }

    async fn next_wish(&mut self) {
        if self.wishes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn report(&self, outcome: Option<Error>) {
        self.outcome.send_if_modified(|last| {
            let news = *last != outcome;
            *last = outcome;
            news
        });
    }
}
