//! What these tests stand on: nodes, and an etcd on one or on each of them.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Pings;

use crate::agent::ground::{Agent, Site, until};
use crate::nodes::ground::Mode;

pub const PREFIX: &str = "/coreos.com/network";
/// In seconds: what etcd's own clock allows.
pub const SHORT: &str = "5";

/// A lease: the last part of its key, how often it was written, etcd's number of it, and what it says.
#[derive(Debug, PartialEq)]
pub struct Pair {
    pub key: String,
    pub version: i64,
    pub lease: i64,
    pub value: Value,
}

/// How etcd is set up and spoken to.
#[derive(Clone)]
pub struct Way {
    pub scheme: &'static str,
    /// How many nodes have a member.
    pub members: usize,
    /// More arguments of the members.
    pub etcd: Vec<String>,
    /// More arguments of etcdctl.
    pub control: Vec<String>,
    /// More arguments of the agents.
    pub agents: Vec<String>,
}

impl Default for Way {
    fn default() -> Self {
        let none = Vec::new;
        Self { scheme: "http", members: 1, etcd: none(), control: none(), agents: none() }
    }
}

impl Way {
    /// A member's address for clients.
    pub fn url(&self, n: usize) -> String {
        format!("{}://192.168.2.{n}:2379", self.scheme)
    }

    pub fn urls(&self) -> String {
        (1..=self.members).map(|n| self.url(n)).collect::<Vec<_>>().join(",")
    }
}

/// Words as arguments.
pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Nodes, and an etcd with its data in a directory, killed when the value goes.
pub struct Ground {
    pub site: Site,
    pub way: Way,
    data: TempDir,
    members: Vec<Option<Child>>,
}

impl Ground {
    /// With a network of just three subnets, so that all nodes want the same.
    pub fn new(mode: Mode) -> Self {
        Self::of(Site::of(mode, json!({})), Way::default())
    }

    /// As [`Ground::new`], with all choices.
    pub fn of(site: Site, way: Way) -> Self {
        let data = tempfile::Builder::new().prefix("etcd-").tempdir().unwrap();
        let members = (0..way.members).map(|_| None).collect();
        let mut ground = Self { site, way, data, members };
        ground.start_etcd();
        let backend = json!({"Type": ground.site.cluster.mode.plugin()});
        let config = json!({"Network": "10.244.0.0/22", "SubnetLen": 24, "Backend": backend});
        ground.put("config", &config.to_string());
        ground
    }

    /// Starts all members that do not run.
    pub fn start_etcd(&mut self) {
        let all = 1..=self.way.members;
        let peer = |n: usize| format!("http://192.168.2.{n}:2380");
        let cluster: Vec<String> = all.clone().map(|n| format!("m{n}={}", peer(n))).collect();
        // A short lease is measured by its clock, which a cluster on a busy machine cannot keep.
        let clock = if self.way.members == 1 { ["50", "500"] } else { ["300", "3000"] };
        for n in all {
            if self.members[n - 1].is_some() {
                continue;
            }
            let url = self.way.url(n);
            let child = self.site.node(n).enter(|| {
                Command::new("etcd")
                    .arg("--data-dir")
                    .arg(self.data.path().join(n.to_string()))
                    .args(["--name", &format!("m{n}"), "--initial-cluster", &cluster.join(",")])
                    .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
                    .args(["--listen-peer-urls", &peer(n)])
                    .args(["--initial-advertise-peer-urls", &peer(n)])
                    .args(["--heartbeat-interval", clock[0], "--election-timeout", clock[1]])
                    .args(["--log-level", "error"])
                    .args(&self.way.etcd)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap()
            });
            self.members[n - 1] = Some(child);
        }
        until("etcd answers", || self.control(&["endpoint", "health"]).map(drop));
    }

    /// Kills the member on node `n`.
    pub fn stop_member(&mut self, n: usize) {
        if let Some(mut child) = self.members[n - 1].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn stop_etcd(&mut self) {
        (1..=self.way.members).for_each(|n| self.stop_member(n));
    }

    /// `etcdctl`.
    pub fn control(&self, words: &[&str]) -> Result<String, String> {
        let urls = self.way.urls();
        let mut command = vec!["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", &urls];
        command.extend(self.way.control.iter().map(String::as_str));
        command.extend(words);
        self.site.node(1).try_run(&command)
    }

    /// The number that grows with all that is written.
    pub fn revision(&self) -> i64 {
        let told = self.control(&["get", "/", "-w", "json"]).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        told["header"]["revision"].as_i64().unwrap()
    }

    pub fn put(&self, key: &str, value: &str) {
        self.control(&["put", &format!("{PREFIX}/{key}"), value]).unwrap();
    }

    pub fn leases(&self) -> Vec<Pair> {
        let at = format!("{PREFIX}/subnets/");
        let told = self.control(&["get", "--prefix", &at, "-w", "json"]).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let pairs = told["kvs"].as_array().cloned().unwrap_or_default();
        pairs
            .iter()
            .map(|pair| {
                let text = |key: &str| base64(pair[key].as_str().unwrap());
                let key = text("key").strip_prefix(&at).unwrap().to_owned();
                let value = serde_json::from_str(&text("value")).unwrap_or_default();
                let version = pair["version"].as_i64().unwrap();
                Pair { key, version, lease: pair["lease"].as_i64().unwrap_or(0), value }
            })
            .collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.stop_etcd();
    }
}

/// As `etcdctl` prints keys and values.
fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in text.bytes().filter_map(|c| DIGITS.iter().position(|d| *d == c)) {
        bits = (bits << 6 | u32::try_from(digit).unwrap()) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl Ground {
    pub fn start(&self, n: usize, ttl: &str) -> Agent {
        self.start_with(n, ttl, &[], &[])
    }

    pub fn start_with(&self, n: usize, ttl: &str, more: &[&str], env: &[(&str, &str)]) -> Agent {
        let ttl = words(&["--lease-ttl", ttl]);
        let all: Vec<String> = [self.arguments(n), ttl, words(more)].concat();
        self.site.start_as(n, &all, env)
    }

    /// What all commands are told on node `n`.
    pub fn arguments(&self, n: usize) -> Vec<String> {
        let conflist = self.site.conflist(n);
        let (name, urls) = (format!("n{n}"), self.way.urls());
        let network = conflist.to_str().unwrap();
        let all = ["--network", network, "--source", "etcd", "--from", &urls, "--node", &name];
        [words(&all), self.way.agents.clone()].concat()
    }

    /// Three agents that know of each other, and a pod on each node.
    pub fn running(mode: Mode, ttl: &str) -> (Self, Vec<Agent>) {
        let mut ground = Self::new(mode);
        let agents = ground.run(ttl);
        (ground, agents)
    }

    /// Starts the agents, and a pod on each node.
    pub fn run(&mut self, ttl: &str) -> Vec<Agent> {
        let agents: Vec<Agent> = (1..=3).map(|n| self.start(n, ttl)).collect();
        self.meet();
        self.attach();
        agents
    }

    /// A pod on each node; all talk.
    pub fn attach(&mut self) {
        let cluster = &self.site.cluster;
        let numbers = cluster.fleet.numbers();
        let pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
        self.site.cluster.pods = pods;
        until("IPv6 everywhere", || {
            let both = |n: usize| {
                let count = |family| {
                    let routes = self.site.node(n).routes(family, "main");
                    routes.iter().filter(|route| route["metric"] == 112).count()
                };
                self.site.cluster.attachment(n).ips().len() == 1 || count("-6") == count("-4")
            };
            let lacking: Vec<usize> = (1..=3).filter(|n| !both(*n)).collect();
            if lacking.is_empty() { Ok(()) } else { Err(lacking) }
        });
        self.site.cluster.all_talk();
    }

    /// A ping that runs from the pod of one node to that of another.
    pub fn pings(&self, from: usize, to: usize) -> Pings {
        let cluster = &self.site.cluster;
        Pings::start(cluster.pod(from), &cluster.attachment(to).ip())
    }

    /// Waits until each node leads to the others.
    #[track_caller]
    pub fn meet(&self) {
        for n in 1..=3 {
            until("a subnet", || {
                if self.subnet(n).is_empty() { Err(self.site.agent_state(n)) } else { Ok(()) }
            });
        }
        for n in 1..=3 {
            self.leads_to(n, (1..=3).filter(|m| *m != n).map(|m| self.subnet(m)).collect());
        }
    }

    /// Waits until node `n` leads to just these.
    #[track_caller]
    pub fn leads_to(&self, n: usize, mut wanted: Vec<String>) {
        wanted.sort();
        until(&format!("node {n} leads to {wanted:?}"), || {
            let routes = self.site.node(n).routes("-4", "main");
            let ours = routes.iter().filter(|route| route["metric"] == 112);
            let mut leads: Vec<_> = ours.map(|r| r["dst"].as_str().unwrap().to_owned()).collect();
            leads.sort();
            if leads == wanted { Ok(()) } else { Err((leads, self.site.agent_state(n))) }
        });
    }

    /// The subnet of node `n`, as its plugins read it.
    pub fn subnet(&self, n: usize) -> String {
        let path = self.site.cluster.fleet.roster.path(self.site.node(n));
        let file = fs::read(path).unwrap_or_default();
        let file: Value = serde_json::from_slice(&file).unwrap_or_default();
        file["local"]["podCIDRs"][0].as_str().unwrap_or_default().to_owned()
    }

    pub fn key(&self, n: usize) -> String {
        self.subnet(n).replace('/', "-")
    }

    pub fn lease(&self, key: &str) -> Option<Pair> {
        self.leases().into_iter().find(|pair| pair.key == key)
    }

    pub fn others(&self, n: usize) -> Vec<String> {
        (1..=3).filter(|m| *m != n).map(|m| self.subnet(m)).collect()
    }
}
