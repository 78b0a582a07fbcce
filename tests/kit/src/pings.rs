//! A ping that runs while something happens.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::Netns;

/// How long an answer may take: longer than any outage that a test should tell of.
const PATIENCE: Duration = Duration::from_mins(1);
/// Answers after which it is sure that those before were given or lost.
const AFTER: usize = 10;

/// Twenty echo requests a second, until the value goes.
#[derive(Debug)]
pub struct Pings {
    child: Child,
    /// The numbers of those that were answered.
    answered: Receiver<usize>,
    what: String,
}

impl Pings {
    /// Starts, and waits for the first answer.
    #[track_caller]
    pub fn start(from: &Netns, to: &str) -> Self {
        let mut child = from.enter(|| {
            Command::new("ping")
                .args(["-n", "-i", "0.05", to])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("ping")
        });
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (tell, answered) = channel();
        std::thread::spawn(move || {
            // An error's line bears a number, too.
            for line in lines.map_while(Result::ok).filter(|line| line.contains(" bytes from ")) {
                let number = line.split("icmp_seq=").nth(1).and_then(|rest| rest.split(' ').next());
                let _ = number.and_then(|n| n.parse().ok()).map(|n: usize| tell.send(n));
            }
        });
        let pings = Self { child, answered, what: format!("ping {to}") };
        pings.next();
        pings
    }

    fn next(&self) -> usize {
        self.answered.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{}: {e}", self.what))
    }

    /// Fails when a single request has been lost so far.
    #[track_caller]
    pub fn lost_none(self) {
        let mut answered: Vec<usize> = self.answered.try_iter().collect();
        answered.extend((0..AFTER).map(|_| self.next()));
        answered.sort_unstable();
        // The first was taken when they were started.
        let last = answered.last().copied().unwrap_or_default();
        let lost: Vec<usize> = (2..=last).filter(|n| answered.binary_search(n).is_err()).collect();
        assert!(lost.is_empty(), "{}: lost {lost:?} of {last}", self.what);
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
