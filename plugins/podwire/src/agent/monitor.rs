//! Waking up when somebody changes what we made or stand on.

mod interest;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cni::{Code, Error};
use kernel::events::{Events, Group, Notification};
use tokio::sync::Notify;

pub use interest::Interest;

/// What may concern us.
const GROUPS: &[Group] = &[
    Group::Link,
    Group::Neighbour,
    Group::Ipv4Address,
    Group::Ipv4Route,
    Group::Ipv6Address,
    Group::Ipv6Route,
];
/// Where listening fails, which no kernel does, it is tried again so often.
const AGAIN: Duration = Duration::from_secs(1);

/// A thread that listens. Pods come and go with many notifications each, none of which concerns the
/// node's part, so they are sorted out before anybody wakes up.
#[derive(Clone, Debug, Default)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    woken: Notify,
    /// `None` while it is not known what may concern us: then all does.
    interest: Mutex<Option<Interest>>,
    heard: AtomicU64,
    lost: AtomicU64,
}

impl Monitor {
    /// Listens in the calling thread's namespace from now on.
    pub fn start() -> Result<Self, Error> {
        let monitor = Self::default();
        let mut events = Events::open_all(GROUPS)?;
        let listener = monitor.clone();
        let listen = move || {
            loop {
                if let Err(error) = events.next(|one| listener.hear(&one)) {
                    tracing::error!(%error, "cannot listen to the kernel");
                    listener.hear(&Notification::Lost);
                    thread::park_timeout(AGAIN);
                    if let Ok(anew) = Events::open_all(GROUPS) {
                        events = anew;
                    }
                }
            }
        };
        thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(listen)
            .map_err(|e| Error::new(Code::IO, format!("start a thread: {e}")))?;
        Ok(monitor)
    }

    fn hear(&self, one: &Notification) {
        self.0.heard.fetch_add(1, Ordering::Relaxed);
        if *one == Notification::Lost {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                "the kernel's notifications came too fast, some were lost: all is compared"
            );
        }
        let interest = self.0.interest.lock().unwrap_or_else(PoisonError::into_inner);
        if interest.as_ref().is_none_or(|interest| interest.is_met_by(one)) {
            self.0.woken.notify_one();
        }
    }

    /// Waits until something that may concern us has changed.
    pub async fn changed(&self) {
        self.0.woken.notified().await;
    }

    /// What concerns us from now on; `None` for everything, as while it is being changed.
    pub fn attend(&self, interest: Option<Interest>) {
        *self.0.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
    }

    /// How many notifications were heard, and how often some were lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.0.heard.load(Ordering::Relaxed), self.0.lost.load(Ordering::Relaxed))
    }
}
