//! What the service manager is told (sd_notify(3)); nothing where there is none.

use std::time::Duration;

use sd_notify::NotifyState;

/// The agent has done its first round.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// How it fares, in a line.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// It is alive.
pub fn beat() {
    tell(&[NotifyState::Watchdog]);
}

/// It ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often it has to say that it is alive: twice in the time that is allowed.
pub fn interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|allowed| allowed / 2).filter(|half| !half.is_zero())
}

/// A manager that does not listen is nobody's concern.
fn tell(words: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(words);
}
