//! Subnets leased in etcd, as flannel lays it out; a real one, on node 1.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::need;

use super::ground::{Agent, Site, until};
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;

const PREFIX: &str = "/coreos.com/network";
const URL: &str = "http://192.168.2.1:2379";
/// In seconds: what etcd's own clock allows.
const SHORT: &str = "5";

each_mode! {
    three_agents_have_subnets_of_their_own_and_reach_each_other,
    an_agent_that_was_killed_goes_on_with_its_lease,
    while_etcd_is_away_all_goes_on,
}

/// A lease: the last part of its key, how often it was written, etcd's number of it, and what it says.
#[derive(Debug, PartialEq)]
struct Pair {
    key: String,
    version: i64,
    lease: i64,
    value: Value,
}

/// Nodes, and an etcd with its data in a directory, killed when the value goes.
struct Ground {
    site: Site,
    data: TempDir,
    child: Option<Child>,
}

impl Ground {
    /// With a network of just three subnets, so that all nodes want the same.
    fn new(mode: Mode) -> Self {
        let data = tempfile::Builder::new().prefix("etcd-").tempdir().unwrap();
        let mut ground = Self { site: Site::of(mode, json!({})), data, child: None };
        ground.start_etcd();
        let backend = json!({"Type": mode.plugin()});
        let config = json!({"Network": "10.244.0.0/22", "SubnetLen": 24, "Backend": backend});
        ground.put("config", &config.to_string());
        ground
    }

    fn start_etcd(&mut self) {
        let child = self.site.node(1).enter(|| {
            Command::new("etcd")
                .arg("--data-dir")
                .arg(self.data.path())
                .args(["--listen-client-urls", URL, "--advertise-client-urls", URL])
                .args(["--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "error"])
                // Its clock is what short leases are measured by.
                .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        });
        self.child = Some(child);
        until("etcd answers", || self.control(&["endpoint", "health"]).map(drop));
    }

    fn stop_etcd(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn control(&self, words: &[&str]) -> Result<String, String> {
        let mut command = vec!["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", URL];
        command.extend(words);
        self.site.node(1).try_run(&command)
    }

    fn put(&self, key: &str, value: &str) {
        self.control(&["put", &format!("{PREFIX}/{key}"), value]).unwrap();
    }

    fn leases(&self) -> Vec<Pair> {
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
    fn start(&self, n: usize, ttl: &str) -> Agent {
        self.start_with(n, ttl, &[])
    }

    fn start_with(&self, n: usize, ttl: &str, more: &[&str]) -> Agent {
        let conflist = self.site.conflist(n);
        let name = format!("n{n}");
        let words = ["--network", conflist.to_str().unwrap(), "--source", "etcd", "--from", URL];
        let own = ["--node", &name, "--lease-ttl", ttl];
        let words = words.iter().chain(&own).chain(more).map(|word| (*word).to_owned());
        self.site.start_as(n, &words.collect::<Vec<_>>(), &[])
    }

    /// Three agents that know of each other, and a pod on each node.
    fn running(mode: Mode, ttl: &str) -> (Self, Vec<Agent>) {
        let mut ground = Self::new(mode);
        let agents: Vec<Agent> = (1..=3).map(|n| ground.start(n, ttl)).collect();
        ground.meet();
        let cluster = &ground.site.cluster;
        let numbers = cluster.fleet.numbers();
        let pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
        ground.site.cluster.pods = pods;
        ground.site.cluster.all_talk();
        (ground, agents)
    }

    /// Waits until each node leads to the others.
    #[track_caller]
    fn meet(&self) {
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
    fn leads_to(&self, n: usize, mut wanted: Vec<String>) {
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
    fn subnet(&self, n: usize) -> String {
        let path = self.site.cluster.fleet.roster.path(self.site.node(n));
        let file = fs::read(path).unwrap_or_default();
        let file: Value = serde_json::from_slice(&file).unwrap_or_default();
        file["local"]["podCIDRs"][0].as_str().unwrap_or_default().to_owned()
    }

    fn key(&self, n: usize) -> String {
        self.subnet(n).replace('/', "-")
    }

    fn lease(&self, key: &str) -> Option<Pair> {
        self.leases().into_iter().find(|pair| pair.key == key)
    }

    fn others(&self, n: usize) -> Vec<String> {
        (1..=3).filter(|m| *m != n).map(|m| self.subnet(m)).collect()
    }
}

fn three_agents_have_subnets_of_their_own_and_reach_each_other(mode: Mode) {
    need!(Etcd);
    let (ground, _agents) = Ground::running(mode, "60");
    let mut subnets: Vec<String> = (1..=3).map(|n| ground.subnet(n)).collect();
    subnets.sort();
    assert_eq!(subnets, ["10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"]);
    for n in 1..=3 {
        let pair = ground.lease(&ground.key(n)).expect("a lease");
        assert_ne!(pair.lease, 0, "it would last for ever");
        assert_eq!(pair.value["PublicIP"], format!("192.168.2.{n}"));
        assert_eq!(pair.value["BackendType"], mode.plugin());
        let mac = pair.value["BackendData"]["VtepMAC"].as_str();
        assert_eq!(mac.is_some(), mode == Mode::Vxlan, "{}", pair.value);
    }
}

fn an_agent_that_was_killed_goes_on_with_its_lease(mode: Mode) {
    need!(Etcd);
    let (ground, mut agents) = Ground::running(mode, "60");
    let before = ground.lease(&ground.key(1)).expect("a lease");
    agents.remove(0).kill();
    ground.site.cluster.all_talk();
    let agent = ground.start(1, "60");
    agent.says("this node has its lease");
    ground.site.agent_tells(1, "a round", |state| !state.is_null());
    ground.meet();
    assert_eq!(ground.lease(&ground.key(1)), Some(before), "nothing had to be written");
    ground.site.cluster.all_talk();
}

fn while_etcd_is_away_all_goes_on(mode: Mode) {
    need!(Etcd);
    let (mut ground, agents) = Ground::running(mode, "60");
    let before: Vec<String> = (1..=3).map(|n| ground.subnet(n)).collect();
    ground.stop_etcd();
    for agent in &agents {
        agent.says("the source fails");
    }
    ground.site.cluster.all_talk();
    // What is damaged meanwhile is mended from what was known.
    let lost = ground.subnet(2);
    ground.site.node(1).run(&["ip", "route", "del", &lost, "metric", "112"]);
    ground.leads_to(1, ground.others(1));
    ground.start_etcd();
    for agent in &agents {
        agent.says("the source can be read again");
    }
    ground.meet();
    assert_eq!((1..=3).map(|n| ground.subnet(n)).collect::<Vec<_>>(), before);
    ground.site.cluster.all_talk();
}

#[test]
fn a_node_whose_lease_expires_is_gone_and_comes_back_with_the_same_subnet() {
    need!(Etcd);
    let (ground, mut agents) = Ground::running(Mode::Vxlan, SHORT);
    let subnet = ground.subnet(3);
    agents.remove(2).kill();
    ground.leads_to(1, vec![ground.subnet(2)]);
    ground.site.cluster.talk(1, 2);
    let _third = ground.start(3, SHORT);
    ground.meet();
    assert_eq!(ground.subnet(3), subnet);
    ground.site.cluster.all_talk();
}

#[test]
fn a_lease_that_is_taken_away_is_taken_again_with_the_same_subnet() {
    need!(Etcd);
    let (ground, agents) = Ground::running(Mode::Vxlan, "60");
    let (subnet, lost) = (ground.subnet(1), ground.lease(&ground.key(1)).expect("a lease"));
    ground.control(&["lease", "revoke", &format!("{:x}", lost.lease)]).unwrap();
    agents[0].says("this node's lease is gone");
    until("another lease", || match ground.lease(&lost.key) {
        Some(pair) if pair.lease != lost.lease => Ok(()),
        other => Err(other),
    });
    ground.meet();
    assert_eq!(ground.subnet(1), subnet);
    ground.site.cluster.all_talk();
}

#[test]
fn leases_are_followed_across_a_compaction_and_a_network_of_flannel_s() {
    need!(Etcd);
    let (mut ground, agents) = Ground::running(Mode::Vxlan, "60");
    ground.put("subnets/10.244.0.0-26", "{");
    let revision = ground.control(&["get", "/", "-w", "json"]).unwrap();
    let revision: Value = serde_json::from_str(&revision).unwrap();
    ground.control(&["compact", &revision["header"]["revision"].to_string()]).unwrap();
    ground.stop_etcd();
    agents[0].says("the source fails");
    ground.start_etcd();
    // As flannel writes a lease.
    let lease = r#"{"PublicIP":"192.168.2.77","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"aa:bb:cc:dd:ee:fe"}}"#;
    ground.put("subnets/10.244.0.128-26", lease);
    ground.put("subnets/10.244.0.192-26", &lease.replace("vxlan", "wireguard"));
    let mut all = ground.others(1);
    all.push("10.244.0.128/26".to_owned());
    ground.leads_to(1, all);
    let fdb = ground.site.node(1).bridge(&["fdb", "show"]);
    let entry = fdb.as_array().unwrap().iter().find(|entry| entry["mac"] == "aa:bb:cc:dd:ee:fe");
    assert_eq!(entry.expect("an entry")["dst"], "192.168.2.77");
    ground.site.agent_tells(1, "both are named", |state| {
        let text = state.to_string();
        text.contains("10.244.0.0-26") && text.contains("wireguard")
    });
    ground.site.cluster.all_talk();
    ground.control(&["del", &format!("{PREFIX}/subnets/10.244.0.128-26")]).unwrap();
    ground.leads_to(1, ground.others(1));
}

#[test]
fn a_network_of_both_families_is_leased_as_a_whole() {
    need!(Etcd);
    let ground = Ground::new(Mode::Vxlan);
    let config = json!({
        "Network": "10.244.0.0/22", "SubnetLen": 24, "EnableIPv6": true,
        "IPv6Network": "fd00:244::/62", "IPv6SubnetLen": 64, "Backend": {"Type": "vxlan", "VNI": 1},
    });
    ground.put("config", &config.to_string());
    let mut agents = Vec::new();
    for n in 1..=3 {
        let own = format!("192.168.2.{n},fd00:192:168:2::{n}");
        agents.push(ground.start_with(n, "60", &["--public-ip", &own]));
    }
    ground.meet();
    let mut ground = ground;
    let cluster = &ground.site.cluster;
    let numbers = cluster.fleet.numbers();
    let pods = numbers.map(|n| cluster.fleet.attach(&cluster.conf(n), n)).collect();
    ground.site.cluster.pods = pods;
    until("IPv6 everywhere", || {
        let lacks = |n: &usize| {
            ground.site.node(*n).routes("-6", "main").iter().filter(|r| r["metric"] == 112).count()
                != 2
        };
        let lacking: Vec<usize> = (1..=3).filter(lacks).collect();
        if lacking.is_empty() { Ok(()) } else { Err(lacking) }
    });
    ground.site.cluster.all_talk();
    let keys: Vec<String> = ground.leases().into_iter().map(|pair| pair.key).collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| key.contains("&fd00:244:")), "{keys:?}");
    assert_eq!(ground.site.cluster.attachment(1).ips().len(), 2);
}

#[test]
fn without_a_network_or_an_etcd_the_agent_waits() {
    need!(Etcd);
    let mut ground = Ground::new(Mode::HostGw);
    ground.control(&["del", &format!("{PREFIX}/config")]).unwrap();
    let first = ground.start(1, "60");
    first.says("etcd has no key /coreos.com/network/config");
    ground.put("config", r#"{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}"#);
    first.says("the conflist has a network of type host-gw");
    ground.stop_etcd();
    let second = ground.start(2, "60");
    second.says("etcd at http://192.168.2.1:2379: ");
    ground.start_etcd();
    ground.put("config", r#"{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}"#);
    for n in [1, 2] {
        until("a subnet", || {
            if ground.subnet(n).is_empty() { Err(ground.site.agent_state(n)) } else { Ok(()) }
        });
    }
    ground.leads_to(1, vec![ground.subnet(2)]);
}
