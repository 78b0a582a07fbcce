//! The loop: all is compared with the kernel at start, whenever the source tells something, whenever
//! the kernel tells of something that may concern us, and now and then.

mod schedule;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cni::{Code, Error};
use kernel::Lock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, info, warn};

use super::arguments::Arguments;
use super::monitor::{Interest, Monitor};
use super::network::Network;
use super::round::{self, Round};
use super::source::{self, Listener, Told};
use super::state::{Shared, State, Trouble};
use super::{log, report, runtime, serve, service, subnet};
use crate::failure::Failure;
use schedule::{Cause, Schedule};

/// How long the source's first word is waited for before what is there already is made sure of.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// How long the end of an agent that was stopped is waited for.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long a round may take before the service manager is not told any more that all is well.
/// Waiting for the lock alone may take half a minute.
const STUCK: Duration = Duration::from_mins(2);

/// Runs until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    log::start(arguments);
    let network = Network::read(&arguments.network)?;
    let source = source::open(arguments, &network)?;
    let _alone = alone(&network, HANDOVER)?;
    let monitor = Monitor::start()?;
    let node =
        if arguments.follows_the_plugins_own() { String::new() } else { arguments.node()? };
    let state = Shared::new(State::new(&network, node, arguments.describe()));
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        if let Some(address) = &arguments.listen {
            serve::start(address, state.clone(), monitor.clone())?;
        }
        let agent = Agent {
            publishes: !arguments.follows_the_plugins_own(),
            arguments: arguments.clone(),
            network: Arc::new(network),
            monitor,
            listener: source::start(source),
            state,
            schedule: Schedule::new(),
        };
        agent.run().await
    });
    runtime.shutdown_background();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// What an agent locks.
pub fn lock(network: &Network) -> PathBuf {
    network.state().join("agent.lock")
}

/// Makes sure that no other agent serves the network; as long as the value lives. Code 11.
pub fn alone(network: &Network, patience: Duration) -> Result<Lock, Error> {
    Lock::take("stateDir", &lock(network), 0o755, patience).map_err(|e| {
        if e.code != Code::TRY_AGAIN {
            return e;
        }
        let pid = State::read(network.state()).map(|state| format!(" (pid {})", state.pid));
        let (name, pid) = (network.name(), pid.unwrap_or_default());
        Error::new(Code::TRY_AGAIN, format!("an agent{pid} serves the network {name} already"))
            .details("stop it first; it does all by itself")
    })
}

struct Agent {
    arguments: Arguments,
    network: Arc<Network>,
    monitor: Monitor,
    listener: Listener,
    /// The plugins' file is ours to write.
    publishes: bool,
    state: Shared,
    schedule: Schedule,
}

/// The signals that are heeded.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|e| Error::new(Code::IO, format!("listen for signals: {e}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

impl Agent {
    async fn run(mut self) -> Result<(), Error> {
        let mut signals = Signals::new()?;
        let network = self.network.name().to_owned();
        info!(network, source = self.arguments.describe(), "podwire agent begins");
        self.keep_alive();
        // What it tells is seen by the loop below, too.
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = timeout(FIRST_WORD, self.listener.told.wait_for(|t| t.snapshot.is_some() || t.trouble.is_some())) => {}
        }
        self.schedule.call(Cause::Start);
        self.round().await;
        service::ready(&self.summary());
        let mut source_ended = false;
        loop {
            tokio::select! {
                biased;
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                // Before what wakes: a stream of notifications must not put it off for ever.
                () = sleep_until(self.schedule.due()) => {
                    self.round().await;
                    service::status(&self.summary());
                }
                _ = signals.hangup.recv() => self.schedule.call(Cause::Asked),
                told = self.listener.told.changed(), if !source_ended => {
                    source_ended = told.is_err();
                    if source_ended {
                        error!("the source has ended; what it said last holds");
                    }
                    self.schedule.call(Cause::Source);
                }
                () = self.monitor.changed() => self.schedule.call(Cause::Kernel),
            }
        }
        service::stopping();
        info!(network, "podwire agent ends; what it made stays");
        Ok(())
    }

    /// One round, and everything that follows from it.
    async fn round(&mut self) {
        let causes = self.schedule.begin();
        let told = self.listener.told.borrow_and_update().clone();
        self.hear(&told);
        // What is changed from now on has to be looked at again, whatever it is.
        self.monitor.attend(None);
        let (network, snapshot) = (self.network.clone(), told.snapshot.clone());
        let snapshot = snapshot.filter(|_| self.publishes);
        let running = tokio::task::spawn_blocking(move || round::run(&network, snapshot.as_ref()));
        let round = running.await.unwrap_or_else(|e| Round {
            outcome: Err(Error::new(Code::INTERNAL, format!("the round broke off: {e}"))),
            published: false,
            unpublished: None,
            took: Duration::ZERO,
        });
        let options = &self.network.config.node.options;
        self.monitor.attend(round.outcome.as_ref().ok().map(|o| Interest::of(o, options)));
        self.take_up(&round, &causes.to_string());
        let changes = round.outcome.as_ref().map(peers::Outcome::len).ok();
        self.schedule.end(&causes, changes, round.published);
        if round.outcome.is_ok() {
            self.listener.applied.send_replace(told.version);
        }
    }

    /// Takes up how the source fares.
    fn hear(&self, told: &Told) {
        let mut state = self.state.lock();
        let before = state.source_trouble.take();
        match (&told.trouble, &before) {
            (Some(error), before) => {
                report::trouble(
                    before.as_ref().map(|b| b.what.as_str()),
                    error,
                    "the source fails",
                );
            }
            (None, Some(_)) => info!("the source can be read again"),
            (None, None) => {}
        }
        state.source_trouble = Trouble::now(before, told.trouble.as_ref());
        state.snapshots = told.version;
    }

    fn take_up(&self, round: &Round, causes: &str) {
        let mut state = self.state.lock();
        report::round(&state, round, causes);
        state.took = round.took.as_secs_f64();
        state.unpublished = Trouble::now(state.unpublished.take(), round.unpublished.as_ref());
        match &round.outcome {
            Ok(outcome) => state.take_up(outcome),
            Err(error) => state.take_up_failure(error),
        }
        if let Err(error) = state.write(self.network.state()) {
            warn!(%error, "cannot write the agent's state");
        }
        drop(state);
        if let (Some(path), Ok(outcome)) = (&self.arguments.subnet_env, &round.outcome) {
            match subnet::write(path, outcome, self.network.config.masquerade) {
                Ok(true) => info!(path = %path.display(), "written"),
                Ok(false) => {}
                Err(error) => error!(%error, "cannot tell flannel's plugin"),
            }
        }
    }

    /// How it fares, in a line.
    fn summary(&self) -> String {
        let state = self.state.lock();
        let peers = state.tunnelled + state.direct;
        match (&state.trouble, &state.source_trouble) {
            (Some(trouble), _) => format!("not in line: {}", trouble.what),
            (None, Some(trouble)) => format!("{peers} peers; the source fails: {}", trouble.what),
            (None, None) => format!("{peers} peers, {} faults", state.faults.len()),
        }
    }

    /// Tells the service manager that the agent lives, as long as no round hangs.
    fn keep_alive(&self) {
        let Some(interval) = service::interval() else { return };
        let running = self.schedule.running();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                if running.since().is_none_or(|begun| Instant::now() - begun < STUCK) {
                    service::beat();
                }
            }
        });
    }
}
