//! Watching the nodes: a list, then what changes, from where it was left off.

use std::pin::pin;
use std::time::Duration;

use cni::Error;
use futures_util::StreamExt as _;
use kube::Api;
use kube::runtime::watcher;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::super::Feed;
use super::announce::Wish;
use super::client::{failure, is_unauthorized};
use super::describe::Description;
use super::node::Node;
use super::store::Store;
use crate::agent::backoff::Backoff;

/// Nodes in an answer: a node is some 20 KiB there, whatever is kept of it, and an answer is held twice
/// while it is read.
const PAGE: u32 = 50;
/// Between two descriptions of the fleet, so that many changes at once make one.
const PAUSE: Duration = Duration::from_millis(50);
/// A watch that failed and is silent for so long after it was begun anew is looked after.
const SILENCE: Duration = Duration::from_secs(2);

/// Tells the agent what the nodes make together.
pub struct Observer<'o> {
    /// The nodes.
    pub api: &'o Api<Node>,
    /// The way to the agent.
    pub feed: &'o Feed,
    /// What is made of them.
    pub description: &'o Description,
    /// What this node's object should be patched with; `None` where it must not be.
    pub wish: Option<watch::Sender<Option<Wish>>>,
    /// What is wrong with patching it.
    pub trouble: watch::Receiver<Option<Error>>,
}

/// How the watch goes.
#[derive(Default)]
struct Progress {
    store: Store,
    /// What is wrong with it.
    failure: Option<Error>,
    /// Nothing is asked for until then.
    paused: Option<Instant>,
    /// Whether it goes on is found out then.
    probe: Option<Instant>,
    /// The fleet is described anew then.
    due: Option<Instant>,
    described: Option<Instant>,
}

impl Observer<'_> {
    /// Ends when the credentials are no longer taken.
    pub async fn run(self, backoff: &mut Backoff) {
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = pin!(watcher(self.api.clone(), config));
        let mut progress = Progress::default();
        let mut trouble = self.trouble.clone();
        loop {
            let Progress { paused, probe, due, .. } = progress;
            tokio::select! {
                event = events.next(), if paused.is_none() => match event {
                    None => return,
                    Some(Ok(event)) => self.take_up(&mut progress, event, backoff),
                    Some(Err(error)) => {
                        let ends = is_end(&error);
                        self.fail(&mut progress, &error);
                        if ends {
                            return;
                        }
                        progress.paused = Some(Instant::now() + backoff.next());
                    }
                },
                () = at(paused), if paused.is_some() => {
                    progress.paused = None;
                    let listed = progress.store.is_complete();
                    progress.probe = listed.then(|| Instant::now() + SILENCE);
                }
                () = self.answers(probe), if probe.is_some() => {
                    backoff.reset();
                    progress.recover();
                }
                () = at(due), if due.is_some() => self.describe(&mut progress),
                changed = trouble.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    progress.call();
                }
            }
        }
    }

    fn take_up(&self, progress: &mut Progress, event: watcher::Event<Node>, backoff: &mut Backoff) {
        // It is told before anything is asked for.
        if !matches!(event, watcher::Event::Init) {
            backoff.reset();
            progress.recover();
        }
        if progress.store.take_up(event, &self.description.keys) {
            progress.call();
        }
    }

    fn fail(&self, progress: &mut Progress, error: &watcher::Error) {
        let error = match error {
            watcher::Error::InitialListFailed(e) => failure("list nodes", e),
            watcher::Error::WatchStartFailed(e) | watcher::Error::WatchFailed(e) => {
                failure("watch nodes", e)
            }
            watcher::Error::WatchError(status) => {
                failure("watch nodes", &kube::Error::Api(status.clone()))
            }
            watcher::Error::NoResourceVersion => {
                Error::new(cni::Code::TRY_AGAIN, format!("watch nodes: {error}"))
            }
        };
        progress.probe = None;
        progress.failure = Some(error.clone());
        self.feed.fail(error);
    }

    /// Resolves when the API server answers for this node: a watch that goes on silently cannot be
    /// told from one that hangs.
    async fn answers(&self, probe: Option<Instant>) {
        at(probe).await;
        while self.api.get_opt(&self.description.node).await.is_err() {
            tokio::time::sleep(SILENCE).await;
        }
    }

    fn describe(&self, progress: &mut Progress) {
        progress.due = None;
        progress.described = Some(Instant::now());
        if !progress.store.is_complete() {
            return;
        }
        match self.description.of(progress.store.nodes()) {
            Ok(described) => {
                self.feed.tell(described.snapshot);
                self.ask(described.patch);
            }
            Err(error) => self.feed.fail(error),
        }
        // What is told clears what was wrong.
        if let Some(error) = progress.failure.clone().or_else(|| self.trouble.borrow().clone()) {
            self.feed.fail(error);
        }
    }

    fn ask(&self, patch: Option<Value>) {
        let Some(wish) = &self.wish else { return };
        let version = self.feed.told.borrow().version;
        wish.send_if_modified(|wish| {
            let same = wish.as_ref().map(|wish| &wish.patch) == patch.as_ref();
            if !same {
                *wish = patch.map(|patch| Wish { version, patch });
            }
            !same
        });
    }
}

impl Progress {
    /// The fleet is to be described anew, soon.
    fn call(&mut self) {
        let now = Instant::now();
        let soon = self.described.map_or(now, |last| now.max(last + PAUSE));
        self.due.get_or_insert(soon);
    }

    fn recover(&mut self) {
        self.probe = None;
        if self.failure.take().is_some() {
            self.call();
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn is_end(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(e)
        | watcher::Error::WatchStartFailed(e)
        | watcher::Error::WatchFailed(e) => is_unauthorized(e),
        watcher::Error::WatchError(status) => status.code == 401,
        watcher::Error::NoResourceVersion => false,
    }
}
