//! Waking up when somebody changes what we made or stand on.

mod interest;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cni::{Code, Error};
use kernel::events::{Events, Group, Notification, Ruleset};
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
    Group::Ipv4Configuration,
    Group::Ipv6Configuration,
];
/// What may wait to be read of them, in bytes: a round makes thousands of changes at once.
const ROOM: usize = 2 << 20;
/// So many are kept until it is known what concerns us; of more it is assumed that something does.
const KEPT: usize = 1 << 16;
/// Where listening fails, which no kernel does, it is tried again so often.
const AGAIN: Duration = Duration::from_secs(1);

/// A thread that listens. Pods come and go with many notifications each, none of which concerns the
/// node's part, so they are sorted out before anybody wakes up.
#[derive(Clone, Debug, Default)]
pub struct Monitor(Arc<Shared>);

/// Tells which changes of the ruleset concern us.
struct Concern(Box<dyn Fn(&Ruleset) -> bool + Send>);

impl fmt::Debug for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Concern")
    }
}

/// What concerns us.
#[derive(Debug, Default)]
enum Attention {
    /// It is not known what may: then all does.
    #[default]
    All,
    /// What will be known soon; this has been heard meanwhile.
    Later(Vec<Notification>),
    /// What meets this.
    Only(Box<Interest>),
}

#[derive(Debug, Default)]
struct Shared {
    woken: Notify,
    attention: Mutex<Attention>,
    /// Which changes of the ruleset concern us; `None` while nobody listens for them.
    ruleset: Mutex<Option<Concern>>,
    heard: AtomicU64,
    lost: AtomicU64,
}

impl Monitor {
    /// Listens in the calling thread's namespace from now on.
    pub fn start() -> Result<Self, Error> {
        let monitor = Self::default();
        monitor.listen("monitor", || Events::open_all(GROUPS)?.with_room(ROOM))?;
        Ok(monitor)
    }

    /// Listens for changes of the ruleset, too, from now on; `concerns` tells those that concern us. Nothing is
    /// to be heard where the kernel has no nf_tables.
    pub fn follow_ruleset(
        &self,
        concerns: impl Fn(&Ruleset) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let mut ruleset = self.0.ruleset.lock().unwrap_or_else(PoisonError::into_inner);
        let listens = ruleset.replace(Concern(Box::new(concerns))).is_some();
        drop(ruleset);
        if listens { Ok(()) } else { self.listen("ruleset", Events::open_ruleset) }
    }

    fn listen(
        &self,
        name: &str,
        open: impl Fn() -> kernel::Result<Events> + Send + 'static,
    ) -> Result<(), Error> {
        let mut events = open()?;
        let listener = self.clone();
        let listen = move || {
            loop {
                if let Err(error) = events.next(|one| listener.hear(one)) {
                    tracing::error!(%error, "cannot listen to the kernel");
                    listener.hear(Notification::Lost);
                    thread::park_timeout(AGAIN);
                    if let Ok(anew) = open() {
                        events = anew;
                    }
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(listen);
        thread.map(drop).map_err(|e| Error::new(Code::IO, format!("start a thread: {e}")))
    }

    fn hear(&self, one: Notification) {
        self.0.heard.fetch_add(1, Ordering::Relaxed);
        if one == Notification::Lost {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                "the kernel's notifications came too fast, some were lost: all is compared"
            );
        }
        if let Notification::Ruleset(change) = &one {
            let ruleset = self.0.ruleset.lock().unwrap_or_else(PoisonError::into_inner);
            if ruleset.as_ref().is_none_or(|Concern(concerns)| concerns(change)) {
                self.0.woken.notify_one();
            }
            return;
        }
        let mut attention = self.0.attention.lock().unwrap_or_else(PoisonError::into_inner);
        let wakes = match &mut *attention {
            Attention::Only(interest) => interest.is_met_by(&one),
            Attention::Later(kept) if kept.len() < KEPT => {
                kept.push(one);
                false
            }
            Attention::Later(_) => {
                *attention = Attention::All;
                true
            }
            Attention::All => true,
        };
        if wakes {
            self.0.woken.notify_one();
        }
    }

    /// Waits until something that may concern us has changed.
    pub async fn changed(&self) {
        self.0.woken.notified().await;
    }

    /// What concerns us is about to change: what is heard from now on is judged by what is attended to next.
    pub fn hold(&self) {
        self.turn(Attention::Later(Vec::new()));
    }

    /// What concerns us from now on; `None` for everything.
    pub fn attend(&self, interest: Option<Interest>) {
        let attention = interest.map_or(Attention::All, |one| Attention::Only(Box::new(one)));
        self.turn(attention);
    }

    fn turn(&self, now: Attention) {
        let mut attention = self.0.attention.lock().unwrap_or_else(PoisonError::into_inner);
        let wakes = match (&*attention, &now) {
            (Attention::Later(kept), Attention::Only(interest)) => {
                kept.iter().any(|one| interest.is_met_by(one))
            }
            (Attention::Later(kept), _) => !kept.is_empty(),
            _ => false,
        };
        *attention = now;
        drop(attention);
        if wakes {
            self.0.woken.notify_one();
        }
    }

    /// How many notifications were heard, and how often some were lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.0.heard.load(Ordering::Relaxed), self.0.lost.load(Ordering::Relaxed))
    }
}
