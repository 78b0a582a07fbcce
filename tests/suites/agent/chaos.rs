//! Random damage for two minutes: afterwards the kernel has what the description says, and what is somebody
//! else's is as it was.
//!
//! `PODWIRE_CHAOS_SECONDS` has it last longer, `PODWIRE_CHAOS_SEED` has it choose otherwise (what the choices
//! meet depends on the time as well).

mod damage;
mod foreign;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::need;

use super::ground::{Agent, Site, until};
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;
use damage::Damage;
use foreign::Foreign;

each_mode! { whatever_is_damaged_comes_back_and_nothing_else_is_touched }

/// How long.
const SECONDS: u64 = 120;
/// The same choices each time, unless others are asked for: a change that breaks nothing is not to fail by chance.
const SEED: u64 = 0x706f_6477_6972_6501;
/// How long the agent is given to answer before the next damage: what damages nothing calls for no answer.
const ANSWER: Duration = Duration::from_millis(400);

/// Numbers without a pattern.
pub struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        let mut noise = Self(seed ^ 0x9e37_79b9_7f4a_7c15);
        // Seeds that are close to each other shall not begin alike.
        for _ in 0..16 {
            noise.below(2);
        }
        noise
    }

    /// One of `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        // xorshift64, Marsaglia 2003
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    /// One of these.
    pub fn choose<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.below(u64::try_from(all.len()).unwrap());
        all[usize::try_from(at).unwrap()]
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "what was done is shown when the test fails")]
fn whatever_is_damaged_comes_back_and_nothing_else_is_touched(mode: Mode) {
    need!(Nft);
    let seed = number("PODWIRE_CHAOS_SEED").unwrap_or(SEED);
    let length = Duration::from_secs(number("PODWIRE_CHAOS_SECONDS").unwrap_or(SECONDS));
    println!("PODWIRE_CHAOS_SEED={seed}");
    let (site, mut agents) = Site::running_of(mode, json!({"ipMasq": true}), &[]);
    let foreign = Foreign::make(site.node(1));
    let (links, exempt) = (links(&site), exempt(&site));
    assert!(exempt.iter().any(|element| element.contains("192.168.2.3")), "{exempt:?}");
    let mut chaos = Damage::new(site, agents.remove(0), Noise::new(seed));
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < length {
        let before = acts(&chaos.site);
        println!("{:>7} ms: {}", begun.elapsed().as_millis(), chaos.strike());
        count += 1;
        // Now and then many at once.
        if chaos.noise.below(4) > 0 {
            let struck = Instant::now();
            while acts(&chaos.site) == before && struck.elapsed() < ANSWER {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
    println!("{count} damages");
    let (site, agent) = chaos.mend();
    until("nothing is left to be done", || {
        let plan = site.command(1, "plan", &[]);
        if plan.code == Some(0) && plan.out.is_empty() {
            Ok(())
        } else {
            Err((plan, recent(&agent)))
        }
    });
    assert_eq!(foreign::now(site.node(1)), foreign.before, "{:#?}", recent(&agent));
    assert_eq!(self::links(&site), links);
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        let is_needed = mode != Mode::Ipip || key.contains("ipv4");
        assert!(!is_needed || site.node(1).sysctl(key) == "1", "{key}");
    }
    Foreign::remove(site.node(1));
    site.settle();
    agent.signal("HUP");
    site.agent_tells(1, "that all is well", |state| {
        ["trouble", "sourceTrouble", "conflistTrouble", "unpublished"]
            .iter()
            .all(|key| state[*key].is_null())
            && state["faults"] == json!([])
    });
    assert_eq!(self::exempt(&site), exempt);
    site.cluster.all_talk();
    // What it says of itself is what an ADD finds.
    let _ = site.cluster.next_add(1);
}

/// How often the agent of node 1 did its work, or tried to, and which agent.
fn acts(site: &Site) -> (Value, Value, Value) {
    let state = site.agent_state(1);
    (state["pid"].clone(), state["rounds"].clone(), state["failedRounds"].clone())
}

/// The end of an agent's log.
fn recent(agent: &Agent) -> Vec<String> {
    let log = agent.log();
    let mut lines: Vec<String> = log.lines().rev().take(60).map(str::to_owned).collect();
    lines.reverse();
    lines
}

/// The names of all links of node 1.
fn links(site: &Site) -> Vec<String> {
    let mut all = site.node(1).links();
    all.sort();
    all
}

/// What node 1 exempts from masquerade.
fn exempt(site: &Site) -> Vec<String> {
    let objects = site.node(1).nft();
    let sets = objects.iter().map(|object| &object["set"]);
    let exempt = |set: &&Value| set["name"].as_str().is_some_and(|name| name.starts_with("exempt"));
    let mut all: Vec<String> = sets
        .filter(exempt)
        .flat_map(|set| set["elem"].as_array().cloned().unwrap_or_default())
        .map(|element| element.to_string())
        .collect();
    all.sort();
    all
}

/// The tunnel devices of a mode.
fn own_devices(mode: Mode) -> Vec<&'static str> {
    [false, true].iter().filter_map(|ipv6| mode.device(*ipv6)).collect()
}

/// Runs a command that may fail: whether there is anything left to be damaged is chance.
fn attempt(site: &Site, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    drop(site.node(1).try_run(&words));
}

/// The agent of node 1, as long as it lives.
type Running = Option<Agent>;
