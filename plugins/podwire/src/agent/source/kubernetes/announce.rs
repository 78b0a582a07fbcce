//! Telling the others of this node, once it can be reached.

use std::time::{Duration, SystemTime};

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
                next(&mut self.wishes).await;
                continue;
            };
            tokio::select! {
                () = reached(&mut self.applied, wish.version) => {}
                () = next(&mut self.wishes) => continue,
            }
            let doing = format!("patch status of node {}", self.node);
            // Strategic, because conditions are merged by type in it alone.
            let patch = Patch::Strategic(stamped(wish.patch.clone()));
            match self.api.patch_status(&self.node, &PatchParams::default(), &patch).await {
                Ok(_) => {
                    info!(node = self.node, patch = %wish.patch, "told the others of this node");
                    backoff.reset();
                    self.report(None);
                    tokio::time::sleep(PAUSE).await;
                    next(&mut self.wishes).await;
                }
                Err(error) => {
                    self.report(Some(failure(&doing, &error)));
                    tokio::select! {
                        () = tokio::time::sleep(backoff.next()) => {}
                        () = next(&mut self.wishes) => {}
                    }
                }
            }
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

/// Conditions bear the time at which they became so.
fn stamped(mut patch: Value) -> Value {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let conditions = patch.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
        for key in ["lastHeartbeatTime", "lastTransitionTime"] {
            condition.insert(key.to_owned(), now.clone().into());
        }
    }
    patch
}

/// Resolves when something else is asked for; never, when nobody can ask any more.
async fn next(wishes: &mut watch::Receiver<Option<Wish>>) {
    if wishes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Resolves when the kernel has this description; never, when the agent ends before.
async fn reached(applied: &mut watch::Receiver<u64>, version: u64) {
    let ends = applied.wait_for(|applied| *applied >= version).await.is_err();
    if ends {
        std::future::pending::<()>().await;
    }
}
