//! When the next round is due.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::agent::backoff::Backoff;

/// How long notifications are collected, and the least time between two rounds.
const COALESCE: Duration = Duration::from_millis(50);
/// Nothing may have told of a change: all is compared so often.
const SLOW: Duration = Duration::from_mins(1);
/// How soon after the plugins' file was written what was concluded is recorded: the kernel's clock tells its
/// state from the next one by then, so that ADDs find all in place.
const SETTLE: Duration = Duration::from_millis(150);
/// How often rounds may follow on notifications while each fails.
const FAILING: Duration = Duration::from_millis(500);
/// The gap doubles so often where somebody undoes each round at once.
const MOST_DOUBLINGS: u32 = 6;

/// Why a round is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The agent begins.
    Start,
    /// The source told something.
    Source,
    /// The conflist says something else.
    Conflist,
    /// The plugins' file is not what was written.
    File,
    /// The kernel told of a change.
    Kernel,
    /// Somebody asked for it (SIGHUP).
    Asked,
    /// The plugins' file has rested.
    Rest,
    /// It is time to look again.
    Time,
}

/// Why a round is run.
#[derive(Clone, Debug, Default)]
pub struct Causes(Vec<Cause>);

impl Causes {
    fn add(&mut self, cause: Cause) {
        if !self.0.contains(&cause) {
            self.0.push(cause);
        }
    }

    /// Nothing has happened; what was concluded can be recorded by now.
    pub fn is_settling(&self) -> bool {
        self.0 == [Cause::Rest]
    }

    fn is_the_kernel_alone(&self) -> bool {
        self.0 == [Cause::Kernel]
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(|cause| match cause {
            Cause::Start => "start",
            Cause::Source => "source",
            Cause::Conflist => "conflist",
            Cause::File => "file",
            Cause::Kernel => "kernel",
            Cause::Asked => "asked",
            Cause::Rest => "rest",
            Cause::Time => "time",
        });
        f.write_str(&words.collect::<Vec<_>>().join(","))
    }
}

/// Since when a round is running, for others to see.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<Option<Instant>>>);

impl Running {
    /// Since when; `None` while none does.
    pub fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// What is due when.
#[derive(Debug)]
pub struct Schedule {
    called: Causes,
    /// The time that those who called asked for.
    wanted: Option<Instant>,
    /// At the latest.
    latest: Instant,
    /// Not before.
    earliest: Instant,
    /// Rounds in a row in which something had to be mended, though nothing but the kernel called.
    contests: u32,
    /// Something is to be recorded when the plugins' file has rested.
    settling: bool,
    retry: Backoff,
    running: Running,
}

impl Schedule {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            called: Causes::default(),
            wanted: None,
            latest: now + SLOW,
            earliest: now,
            contests: 0,
            settling: false,
            retry: Backoff::new(Duration::from_secs(1), SLOW),
            running: Running::default(),
        }
    }

    /// A round is wanted.
    pub fn call(&mut self, cause: Cause) {
        self.called.add(cause);
        let now = Instant::now();
        let wanted = if cause == Cause::Kernel { now + COALESCE } else { now };
        self.wanted = Some(self.wanted.map_or(wanted, |earlier| earlier.min(wanted)));
    }

    /// When the next one is due.
    pub fn due(&self) -> Instant {
        self.wanted.map_or(self.latest, |wanted| wanted.max(self.earliest).min(self.latest))
    }

    /// One begins; tells why.
    pub fn begin(&mut self) -> Causes {
        self.wanted = None;
        self.running.set(Some(Instant::now()));
        let mut causes = std::mem::take(&mut self.called);
        if causes.0.is_empty() {
            causes.add(if self.settling { Cause::Rest } else { Cause::Time });
        }
        causes
    }

    /// It has ended, with so many changes, or failed; or what it concluded is to be recorded in a moment.
    pub fn end(&mut self, causes: &Causes, changes: Option<usize>, settling: bool) {
        let now = Instant::now();
        self.settling = settling;
        self.running.set(None);
        let gap = match changes {
            None => {
                self.latest = now + self.retry.next();
                FAILING
            }
            Some(changes) => {
                self.retry.reset();
                self.latest = now + if settling { SETTLE } else { SLOW };
                let contested = changes > 0 && causes.is_the_kernel_alone();
                self.contests = if contested { self.contests.saturating_add(1) } else { 0 };
                if self.contests == MOST_DOUBLINGS {
                    tracing::warn!("somebody undoes what the agent does, again and again");
                }
                COALESCE * (1 << self.contests.min(MOST_DOUBLINGS))
            }
        };
        self.earliest = now + gap;
    }

    /// There was nothing to be done but to record it.
    pub fn rest(&mut self) {
        self.running.set(None);
        self.settling = false;
        self.latest = Instant::now() + SLOW;
    }

    /// For others to see whether a round runs.
    pub fn running(&self) -> Running {
        self.running.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(schedule: &mut Schedule, changes: Option<usize>) -> Duration {
        let causes = schedule.begin();
        schedule.end(&causes, changes, false);
        schedule.earliest.saturating_duration_since(Instant::now())
    }

    #[test]
    fn notifications_are_collected_and_a_stream_of_them_puts_nothing_off() {
        let mut schedule = Schedule::new();
        schedule.call(Cause::Kernel);
        let due = schedule.due();
        assert!(due > Instant::now() && due <= Instant::now() + COALESCE);
        schedule.call(Cause::Kernel);
        assert_eq!(schedule.due(), due);
        schedule.call(Cause::Source);
        assert!(schedule.due() < due);
        assert_eq!(schedule.begin().to_string(), "kernel,source");
        assert_eq!(schedule.begin().to_string(), "time");
    }

    #[test]
    fn who_undoes_everything_is_met_less_and_less_often() {
        let mut schedule = Schedule::new();
        let mut gaps = Vec::new();
        for _ in 0..10 {
            schedule.call(Cause::Kernel);
            gaps.push(run(&mut schedule, Some(3)));
        }
        assert!(gaps[9] > COALESCE * 60 && gaps[9] <= COALESCE * 64, "{gaps:?}");
        schedule.call(Cause::Kernel);
        assert!(run(&mut schedule, Some(0)) <= COALESCE);
    }

    #[test]
    fn a_round_that_fails_is_tried_again_soon_and_later_and_later() {
        let mut schedule = Schedule::new();
        let mut waits = Vec::new();
        for _ in 0..8 {
            run(&mut schedule, None);
            waits.push(schedule.due() - Instant::now());
        }
        assert!(waits[0] <= Duration::from_secs(1));
        assert!(waits[7] >= SLOW / 3 && waits[7] <= SLOW, "{waits:?}");
    }
}
