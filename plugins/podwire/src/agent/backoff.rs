//! How long to wait before the next try.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Twice as long after each failure, up to a limit, and never the same for two nodes that failed
/// together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// From `first` up to `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// What to wait after one more failure: between a half and all of the step.
    pub fn next(&mut self) -> Duration {
        let step = self.first.saturating_mul(1 << self.failures.min(16)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        // The hasher's keys are random.
        let noise = RandomState::new().hash_one(self.failures) % 1024;
        let half = step / 2;
        half + half.mul_f64(f64::from(u32::try_from(noise).unwrap_or_default()) / 1024.0)
    }

    /// It went well.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_limit_and_begin_anew() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 30 * second);
        for step in [1, 2, 4, 8, 16, 30, 30] {
            let wait = backoff.next();
            assert!(wait >= second * step / 2 && wait <= second * step, "{wait:?} at {step}");
        }
        backoff.reset();
        assert!(backoff.next() <= second);
        let mut long = Backoff::new(second, 30 * second);
        assert!((0..100).all(|_| long.next() <= 30 * second));
    }
}
