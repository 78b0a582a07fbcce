//! What the tests stand on: a fleet with one description for all nodes, and agents that follow it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Fleet, Node, Underlay};

use crate::nodes::ground::{Cluster, Mode};
use crate::nodes::state::{Place, held};

/// Longer than anything takes, on a machine under load.
const PATIENCE: Duration = Duration::from_mins(3);

/// Waits until something is so. Fails with what `is` showed last.
#[track_caller]
pub fn until<T: std::fmt::Debug>(what: &str, mut is: impl FnMut() -> Result<(), T>) {
    let begun = Instant::now();
    while let Err(last) = is() {
        assert!(begun.elapsed() < PATIENCE, "{what}: {last:#?}");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// Puts a text in a file's place, never half of it.
pub fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

/// An agent, killed when the value goes.
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Has it end as the service manager does; it succeeds.
    pub fn stop(mut self) -> String {
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
        self.log()
    }

    /// It runs still.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has logged something.
    #[track_caller]
    pub fn says(&self, words: &str) {
        until(words, || if self.log().contains(words) { Ok(()) } else { Err(self.log()) });
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Printed {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Three nodes and one description of all of them.
pub struct Site {
    pub cluster: Cluster,
    home: TempDir,
}

impl Site {
    /// Nodes on one segment. The description is there, and no peer file.
    pub fn new(mode: Mode) -> Self {
        Self::of(mode, json!({}))
    }

    /// As [`Site::new`], with more keys in the plugins' configuration.
    pub fn of(mode: Mode, more: Value) -> Self {
        let fleet = Fleet::new(Underlay::Segment, mode.pods());
        let cluster = Cluster { fleet, mode, more, pods: Vec::new() };
        let home = tempfile::Builder::new().prefix("fleet-").tempdir().unwrap();
        let site = Self { cluster, home };
        site.write();
        site
    }

    /// The same with agents that have done their work, and a pod on each node.
    pub fn running(mode: Mode) -> (Self, Vec<Agent>) {
        Self::running_of(mode, json!({}), &[])
    }

    /// As [`Site::running`], with more keys in the plugins' configuration and more arguments.
    pub fn running_of(mode: Mode, more: Value, arguments: &[&str]) -> (Self, Vec<Agent>) {
        let mut site = Self::of(mode, more);
        let agents: Vec<Agent> =
            site.cluster.fleet.numbers().map(|n| site.start_with(n, arguments, &[])).collect();
        site.settle();
        let numbers = site.cluster.fleet.numbers();
        site.cluster.pods =
            numbers.map(|n| site.cluster.fleet.attach(&site.cluster.conf(n), n)).collect();
        site.cluster.all_talk();
        (site, agents)
    }

    pub fn node(&self, n: usize) -> &Node {
        self.cluster.node(n)
    }

    /// The description that all nodes share.
    pub fn fleet_file(&self) -> PathBuf {
        self.home.path().join("fleet.json")
    }

    /// A place for other files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn entry(&mut self, n: usize) -> &mut Value {
        &mut self.cluster.fleet.roster.entries[n - 1]
    }

    /// What the description says.
    pub fn fleet(&self) -> Value {
        let roster = &self.cluster.fleet.roster;
        let peers: Vec<&Value> = roster.entries.iter().filter(|entry| !entry.is_null()).collect();
        json!({"version": 1, "clusterCIDRs": roster.cluster, "peers": peers})
    }

    /// Puts the description in place of the last one.
    pub fn write(&self) {
        self.write_text(&self.fleet().to_string());
    }

    /// Puts any text there.
    pub fn write_text(&self, text: &str) {
        replace(&self.fleet_file(), text);
    }

    /// Where the conflist of node `n` is.
    pub fn conflist_file(&self, n: usize) -> PathBuf {
        self.node(n).directory().join("pods.conflist")
    }

    /// The conflist of node `n`, put in place of another one.
    pub fn conflist(&self, n: usize) -> PathBuf {
        let conf = self.cluster.conf(n);
        let path = self.conflist_file(n);
        let list = json!({
            "cniVersion": conf["cniVersion"], "name": conf["name"],
            "plugins": [{"type": "loopback"}, conf],
        });
        let text = list.to_string();
        if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            replace(&path, &text);
        }
        path
    }

    /// Another configuration of all nodes.
    pub fn configure(&mut self, more: Value) {
        self.cluster.more = more;
        for n in self.cluster.fleet.numbers() {
            self.conflist(n);
        }
    }

    /// The arguments that all commands take on node `n`.
    pub fn arguments(&self, n: usize) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let words = ["--network", &path(self.conflist(n)), "--source", "file", "--from"];
        let mut all: Vec<String> = words.map(str::to_owned).into();
        all.extend([path(self.fleet_file()), "--node".to_owned(), format!("n{n}")]);
        all
    }

    /// Starts the agent of node `n`.
    pub fn start(&self, n: usize) -> Agent {
        self.start_with(n, &[], &[])
    }

    /// As [`Site::start`], with more arguments and environment.
    pub fn start_with(&self, n: usize, more: &[&str], env: &[(&str, &str)]) -> Agent {
        let more = more.iter().map(|word| (*word).to_owned());
        self.start_as(n, &self.arguments(n).into_iter().chain(more).collect::<Vec<_>>(), env)
    }

    /// Starts one with just these arguments.
    pub fn start_as(&self, n: usize, arguments: &[String], env: &[(&str, &str)]) -> Agent {
        let podwire = testkit::directory().join("podwire").to_str().unwrap().to_owned();
        let words: Vec<String> =
            [podwire, "agent".to_owned()].into_iter().chain(arguments.iter().cloned()).collect();
        self.start_by(n, &words, env)
    }

    /// Starts one by a command that becomes it.
    pub fn start_by(&self, n: usize, words: &[String], env: &[(&str, &str)]) -> Agent {
        let node = self.node(n);
        let log = node.directory().join("agent.log");
        let file = File::options().append(true).create(true).open(&log).unwrap();
        let child = node.enter(|| {
            Command::new(&words[0])
                .args(&words[1..])
                .envs(env.iter().copied())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(file)
                .spawn()
                .unwrap()
        });
        Agent { child, log }
    }

    /// Runs another command with the same arguments.
    pub fn command(&self, n: usize, command: &str, more: &[&str]) -> Printed {
        let more = more.iter().map(|word| (*word).to_owned());
        let words = self.arguments(n).into_iter().chain(more).collect::<Vec<_>>();
        self.command_as(n, command, &words)
    }

    /// Runs one with just these arguments.
    pub fn command_as(&self, n: usize, command: &str, words: &[String]) -> Printed {
        self.command_in(n, command, words, &[])
    }

    /// The same with more environment.
    pub fn command_in(
        &self,
        n: usize,
        command: &str,
        words: &[String],
        env: &[(&str, &str)],
    ) -> Printed {
        let output = self.node(n).enter(|| {
            let podwire = testkit::directory().join("podwire");
            let mut podwire = Command::new(podwire);
            podwire.arg(command).args(words).envs(env.iter().copied()).output().unwrap()
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Printed { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// `podwire status --json` of node `n`.
    pub fn status(&self, n: usize) -> Value {
        let printed = self.command(n, "status", &["--json"]);
        serde_json::from_str(&printed.out).unwrap_or_else(|e| panic!("{e}: {printed:?}"))
    }

    /// Waits until node `n` holds what the description asks for and nothing else.
    #[track_caller]
    pub fn settles(&self, n: usize) {
        let wanted = self.cluster.wanted(n, None);
        until(&format!("node {n} settles on {wanted:#?}"), || {
            let held = held(self.node(n), &Place::of(self.cluster.mode));
            if held == wanted { Ok(()) } else { Err(held) }
        });
    }

    /// The same for all nodes that are described.
    #[track_caller]
    pub fn settle(&self) {
        for n in self.cluster.fleet.numbers() {
            if !self.cluster.fleet.roster.entries[n - 1].is_null() {
                self.settles(n);
            }
        }
    }

    /// The state directory of node `n`.
    pub fn state(&self, n: usize) -> PathBuf {
        PathBuf::from(self.cluster.conf(n)["stateDir"].as_str().unwrap())
    }

    /// What the agent of node `n` wrote of itself.
    pub fn agent_state(&self, n: usize) -> Value {
        let text = fs::read(self.state(n).join("agent.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Waits until what the agent of node `n` wrote of itself is so.
    #[track_caller]
    pub fn agent_tells(&self, n: usize, what: &str, is: impl Fn(&Value) -> bool) {
        until(what, || {
            let state = self.agent_state(n);
            if is(&state) { Ok(()) } else { Err(state) }
        });
    }
}
