//! The loop: all is compared with the kernel at start, whenever the source tells something, whenever
//! the kernel tells of something that may concern us, and now and then.

mod conflist;
mod renumbering;
mod schedule;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cni::{Code, Error};
use ipnetwork::IpNetwork;
use kernel::Lock;
use peers::Pending;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, info, warn};

use super::arguments::Arguments;
use super::monitor::{Interest, Monitor};
use super::network::Network;
use super::round::{self, Round};
use super::source::{self, Listener, Snapshot, Told};
use super::state::{Shared, State, Trouble};
use super::watch::Watched;
use super::{log, publish, report, runtime, serve, service, subnet};
use crate::failure::Failure;
use crate::plain::plain;
use schedule::{Cause, Schedule};

/// How long the source's first word is waited for before what is there already is made sure of.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// How long the end of an agent that was stopped is waited for.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long a lock whose file was removed is waited for: `status` holds it for a moment.
const RETAKE: Duration = Duration::from_secs(1);
/// How long a round that runs is waited for when the agent is to end. Whatever it leaves, the next one finishes.
const LAST_ROUND: Duration = Duration::from_secs(3);
/// How long a round may take before the service manager is not told any more that all is well.
/// Waiting for the lock alone may take half a minute.
const STUCK: Duration = Duration::from_mins(2);

/// Runs until it is told to stop.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    log::start(arguments);
    let network = Network::read(&arguments.network)?;
    let source = source::open(arguments, &network)?;
    let alone = alone(&network, HANDOVER)?;
    let monitor = Monitor::start()?;
    conflist::follow_ruleset(&monitor, &network);
    let node =
        if arguments.follows_the_plugins_own() { String::new() } else { arguments.node()? };
    let state = Shared::new(State::new(&network, node, arguments.describe()));
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        if let Some(address) = &arguments.listen {
            serve::start(address, state.clone(), monitor.clone())?;
        }
        let peers_file = Watched::new(&network.peers_file);
        let subnets = renumbering::of_file(&network.peers_file);
        let lock_file = Watched::new(&lock(&network));
        let agent = Agent {
            publishes: !arguments.follows_the_plugins_own(),
            arguments: arguments.clone(),
            network: Arc::new(network),
            monitor,
            listener: source::start(source),
            snapshot: None,
            subnets,
            earlier: 0,
            peers_file,
            left: Vec::new(),
            state,
            schedule: Schedule::new(),
            pending: None,
            alone,
            lock_file,
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
    /// What the source said last, or the one before it.
    snapshot: Option<Arc<Snapshot>>,
    /// The pods' networks on this node, as far as anybody here knows.
    subnets: Vec<IpNetwork>,
    /// How many descriptions sources gave that came before this one.
    earlier: u64,
    /// The one that it names now.
    peers_file: Watched,
    /// Those that it named before.
    left: Vec<PathBuf>,
    /// The plugins' file is ours to write.
    publishes: bool,
    state: Shared,
    schedule: Schedule,
    /// What is recorded when the plugins' file has rested.
    pending: Option<Pending>,
    /// No other agent serves the network.
    alone: Lock,
    lock_file: Watched,
}

fn listen(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|e| Error::new(Code::IO, format!("listen for signals: {e}")))
}

/// The signals that end the agent.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    fn new() -> Result<Self, Error> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: listen(terminate)?, interrupt: listen(interrupt)? })
    }

    /// Waits until the agent is to end.
    async fn come(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Agent {
    async fn run(mut self) -> Result<(), Error> {
        let (ending, hangup) = (Ending::new()?, listen(SignalKind::hangup())?);
        let network = self.network.name().to_owned();
        info!(network, source = self.arguments.describe(), "podwire agent begins");
        self.keep_alive();
        let ended = self.follow(ending, hangup).await;
        service::stopping();
        ended?;
        info!(network, "podwire agent ends; what it made stays");
        Ok(())
    }

    /// Follows all that calls for rounds, until it is told to end, or another agent has taken its place. Code 11.
    async fn follow(&mut self, mut ending: Ending, mut hangup: Signal) -> Result<(), Error> {
        // What it tells is seen by the loop below, too.
        let told = self.listener.told.wait_for(|t| t.snapshot.is_some() || t.trouble.is_some());
        let is_ended = tokio::select! {
            () = ending.come() => true,
            _ = timeout(FIRST_WORD, told) => false,
        };
        if is_ended {
            return Ok(());
        }
        self.schedule.call(Cause::Start);
        self.stay_alone()?;
        if !self.round_before(&mut ending).await {
            return Ok(());
        }
        service::ready(&self.summary());
        let conflist = Watched::new(&self.arguments.network);
        let mut source_ended = false;
        loop {
            tokio::select! {
                biased;
                () = ending.come() => return Ok(()),
                // Before what wakes: a stream of notifications must not put it off for ever.
                () = sleep_until(self.schedule.due()) => {
                    self.stay_alone()?;
                    if !self.round_before(&mut ending).await {
                        return Ok(());
                    }
                    service::status(&self.summary());
                }
                _ = hangup.recv() => {
                    self.reread();
                    source_ended &= self.listener.told.has_changed().is_err();
                    self.schedule.call(Cause::Asked);
                }
                () = conflist.changed() => {
                    self.reread();
                    // It may be another source.
                    source_ended &= self.listener.told.has_changed().is_err();
                }
                told = self.listener.told.changed(), if !source_ended => {
                    source_ended = told.is_err();
                    if source_ended {
                        error!("the source has ended; what it said last holds");
                    }
                    self.schedule.call(Cause::Source);
                }
                () = self.peers_file.changed(), if self.publishes => {
                    if !self.is_published() {
                        self.schedule.call(Cause::File);
                    }
                }
                () = self.lock_file.changed() => self.stay_alone()?,
                () = self.monitor.changed() => self.schedule.call(Cause::Kernel),
            }
        }
    }

    /// Takes the lock again where somebody has removed its file, with the directory perhaps. Code 11 where
    /// another agent was faster: two would undo each other's work.
    fn stay_alone(&mut self) -> Result<(), Error> {
        if self.alone.is_at(&lock(&self.network)) {
            return Ok(());
        }
        warn!(path = %lock(&self.network).display(), "the agent's lock was removed; taking it again");
        match alone(&self.network, RETAKE) {
            Ok(lock) => {
                self.alone = lock;
                // What else was there is written again.
                self.save();
                self.schedule.call(Cause::File);
            }
            Err(error) if error.code == Code::TRY_AGAIN => return Err(error),
            // The old one is held, and this is tried again before each round.
            Err(error) => error!(%error, "cannot take the agent's lock again"),
        }
        Ok(())
    }

    /// A round; false when the agent is to end.
    async fn round_before(&mut self, ending: &mut Ending) -> bool {
        let mut round = std::pin::pin!(self.round());
        tokio::select! {
            () = &mut round => true,
            () = ending.come() => {
                let _ = timeout(LAST_ROUND, round).await;
                false
            }
        }
    }

    /// One round, and everything that follows from it.
    async fn round(&mut self) {
        let causes = self.schedule.begin();
        if causes.is_settling() && self.confirm().await {
            return self.schedule.rest();
        }
        let told = self.listener.told.borrow_and_update().clone();
        self.hear(&told);
        // Our own changes are told, too; they are told from others by what they lead to.
        self.monitor.hold();
        if let Some(snapshot) = &told.snapshot {
            let before =
                std::mem::replace(&mut self.subnets, snapshot.fleet.local.pod_cidrs.clone());
            renumbering::warn(&before, &self.subnets);
            self.snapshot = Some(snapshot.clone());
        }
        let network = self.network.clone();
        let snapshot = self.snapshot.clone().filter(|_| self.publishes);
        let running = tokio::task::spawn_blocking(move || round::run(&network, snapshot.as_ref()));
        let mut round = running.await.unwrap_or_else(|e| Round {
            outcome: Err(Error::new(Code::INTERNAL, format!("the round broke off: {e}"))),
            unpublished: None,
            took: Duration::ZERO,
        });
        let options = &self.network.config.node.options;
        self.monitor.attend(round.outcome.as_ref().ok().map(|o| Interest::of(o, options)));
        self.take_up(&round, &causes.to_string());
        let changes = round.outcome.as_ref().map(peers::Outcome::len).ok();
        self.pending = round.outcome.as_mut().ok().and_then(|outcome| outcome.pending.take());
        self.schedule.end(&causes, changes, self.pending.is_some());
        if round.outcome.is_ok() {
            self.listener.applied.send_replace(told.version);
            self.discard_left();
        }
    }

    /// Whether the plugins' file says what it should; we write it ourselves.
    fn is_published(&self) -> bool {
        let wanted = self.snapshot.as_ref();
        wanted.is_none_or(|s| publish::read(&self.network.peers_file).is_ok_and(|is| is == s.text))
    }

    /// Records what the last round concluded, now that the plugins' file has rested. False when that is not
    /// to be had so cheaply.
    async fn confirm(&mut self) -> bool {
        let Some(pending) = self.pending.take() else { return false };
        let network = self.network.clone();
        let snapshot = self.snapshot.clone().filter(|_| self.publishes);
        let confirm = move || round::confirm(&network, snapshot.as_ref(), &pending);
        tokio::task::spawn_blocking(confirm).await.is_ok_and(|confirmed| confirmed.unwrap_or(false))
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
        state.snapshots = self.earlier + told.version;
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
        drop(state);
        self.save();
        if let (Some(path), Ok(outcome)) = (&self.arguments.subnet_env, &round.outcome) {
            match subnet::write(path, outcome, self.network.config.masquerade) {
                Ok(true) => info!(path = %path.display(), "written"),
                Ok(false) => {}
                Err(error) => error!(%error, "cannot tell flannel's plugin"),
            }
        }
    }

    /// Writes how it fares for those that ask.
    fn save(&self) {
        let state = self.state.lock();
        if let Err(error) = state.write(self.network.state()) {
            warn!(%error, "cannot write the agent's state");
        }
    }

    /// How it fares, in a line.
    fn summary(&self) -> String {
        let state = self.state.lock();
        let peers = state.tunnelled + state.direct;
        let summary = match (&state.trouble, &state.source_trouble) {
            (Some(trouble), _) => format!("not in line: {}", trouble.what),
            (None, Some(trouble)) => format!("{peers} peers; the source fails: {}", trouble.what),
            (None, None) => format!("{peers} peers, {} faults", state.faults.len()),
        };
        // The service manager takes each line for a word of its own.
        plain(&summary)
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
