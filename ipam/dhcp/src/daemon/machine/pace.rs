//! When a machine does what: moments, patience, and pauses that grow.

use std::time::Duration;

/// A moment: time since the boot, sleep included.
pub type Moment = Duration;

/// The first pause before a message is repeated. RFC 2131 says four seconds, of a time when a second
/// was little on a network; a pod waits for this one. RFC 8415 says one, too (section 7.6).
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the answers to one exchange.
    pub answer: Duration,
    /// Between two repetitions, at most.
    pub repeat: Duration,
}

/// Numbers that others cannot well guess from outside and that differ between clients: Marsaglia's
/// xorshift from a seed of the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// Of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next one.
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap_or_default()
    }

    /// The pause after so many: it doubles from `first` on, up to `longest`, with a tenth of chance so
    /// that many clients do not go on together.
    pub fn pause(&mut self, first: Duration, tries: u32, longest: Duration) -> Duration {
        let pause = first.saturating_mul(1 << tries.min(16)).min(longest);
        let tenth = u64::try_from(pause.as_millis() / 10).unwrap_or_default();
        let chance = u64::from(self.next()).checked_rem(tenth.max(1)).unwrap_or_default();
        pause.max(Duration::from_millis(100)) + Duration::from_millis(chance)
    }
}
