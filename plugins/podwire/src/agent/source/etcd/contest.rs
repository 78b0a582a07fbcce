//! Somebody else who writes this node's own entry.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Who put his own entry back so often within [`WHILE`] gives in.
const OFTEN: usize = 3;
/// See [`OFTEN`].
const WHILE: Duration = Duration::from_mins(1);

/// When this node's own entry had to be put back.
#[derive(Debug, Default)]
pub struct Contest(VecDeque<Instant>);

impl Contest {
    /// It was put back now.
    pub fn note(&mut self) {
        self.0.push_back(Instant::now());
        while self.0.len() > OFTEN {
            self.0.pop_front();
        }
    }

    /// Somebody else insists.
    pub fn is_lost(&self) -> bool {
        self.recent() >= OFTEN
    }

    /// Nothing of the kind happened lately.
    pub fn is_quiet(&self) -> bool {
        self.recent() == 0
    }

    /// It was given in.
    pub fn end(&mut self) {
        self.0.clear();
    }

    fn recent(&self) -> usize {
        self.0.iter().filter(|at| at.elapsed() < WHILE).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_insists_wins() {
        let mut contest = Contest::default();
        assert!(contest.is_quiet());
        for _ in 0..OFTEN {
            assert!(!contest.is_lost());
            contest.note();
        }
        assert!(contest.is_lost() && !contest.is_quiet());
        contest.end();
        assert!(contest.is_quiet() && !contest.is_lost());
        let before = Instant::now().checked_sub(WHILE);
        contest.0.extend(std::iter::repeat_n(before, 2 * OFTEN).flatten());
        assert!(!contest.is_lost());
    }
}
