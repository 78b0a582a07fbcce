//! The sorts of damage.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::{Pods, UNDERLAY};

use super::super::ground::{Agent, Site, replace, until};
use super::{Noise, Running, attempt, foreign, own_devices};
use crate::nodes::ground::Mode;

/// The site while it is damaged.
pub struct Damage {
    pub site: Site,
    pub noise: Noise,
    agent: Running,
    third: Value,
    conflist: String,
    /// Either our routes have another number for a while, or the record is damaged that tells which.
    is_renumbered: bool,
}

/// What is damaged.
#[derive(Clone, Copy, Debug)]
enum Sort {
    Route,
    Routes,
    Replaced,
    Surplus,
    Overruled,
    Mtu,
    Underlay,
    Address,
    Device,
    Entries,
    Firewall,
    Switch,
    Fleet,
    Conflist,
    Files,
    Agent,
}

const SORTS: &[Sort] = &[
    Sort::Route,
    Sort::Routes,
    Sort::Replaced,
    Sort::Surplus,
    Sort::Overruled,
    Sort::Mtu,
    Sort::Underlay,
    Sort::Address,
    Sort::Firewall,
    Sort::Switch,
    Sort::Fleet,
    Sort::Conflist,
    Sort::Files,
    Sort::Agent,
    Sort::Device,
    Sort::Device,
    Sort::Entries,
    Sort::Entries,
];
/// So many of the last ones are of tunnel devices.
const DEVICES: usize = 4;

impl Damage {
    pub fn new(mut site: Site, agent: Agent, mut noise: Noise) -> Self {
        let third = site.entry(3).clone();
        let conflist = fs::read_to_string(site.conflist_file(1)).unwrap();
        let is_renumbered = noise.below(2) == 0;
        Self { site, noise, agent: Some(agent), third, conflist, is_renumbered }
    }

    /// Damages something, and tells what.
    pub fn strike(&mut self) -> String {
        let has_devices = !own_devices(self.site.cluster.mode).is_empty();
        let sorts = if has_devices { SORTS } else { &SORTS[..SORTS.len() - DEVICES] };
        let sort = self.noise.choose(sorts);
        let what = match sort {
            Sort::Fleet => self.fleet(),
            Sort::Conflist => self.conflist(),
            Sort::Files => self.files(),
            Sort::Agent => self.agent(),
            Sort::Underlay => self.underlay(),
            Sort::Address => self.address(),
            Sort::Device | Sort::Entries => self.device(sort),
            Sort::Firewall => self.firewall(),
            _ => {
                let command = self.command(sort);
                attempt(&self.site, &command);
                command
            }
        };
        format!("{sort:?}: {what}")
    }

    /// What was taken from the outside comes back; all else is the agent's.
    pub fn mend(mut self) -> (Site, Agent) {
        attempt(&self.site, OVERRULING.1);
        *self.site.entry(3) = self.third;
        self.site.write();
        replace(&self.site.conflist_file(1), &self.conflist);
        self.site.cluster.fleet.set_mtu(1, 1500);
        let mut agent = self.agent.take().unwrap();
        assert!(agent.runs(), "{}", agent.log());
        (self.site, agent)
    }

    fn command(&mut self, sort: Sort) -> String {
        let peer = 2 + self.noise.below(2);
        let mtu = 1400 + 100 * self.noise.below(3);
        let mode = self.site.cluster.mode;
        match sort {
            Sort::Route => format!("ip route del 10.244.{peer}.0/24 proto 112"),
            Sort::Routes => self
                .noise
                .choose(&[
                    "ip -4 route flush proto 112 root 10.244.0.0/16",
                    "ip -6 route flush proto 112 root fd00:244::/32",
                    "ip -4 route del blackhole 10.244.1.0/24",
                    "ip -4 route flush proto 112 root 10.244.3.0/24",
                ])
                .to_owned(),
            // Of the same identity: what stood there has taken our place.
            // Without pods of IPv6 there is none of ours, and it is not ours to remove.
            Sort::Replaced => match self.noise.below(if mode.pods() == Pods::Dual { 3 } else { 2 })
            {
                0 => format!("ip route replace blackhole 10.244.{peer}.0/24 metric 112"),
                1 => format!(
                    "ip route replace 10.244.{peer}.0/24 via 192.168.2.9 proto 80 metric 112"
                ),
                _ => format!("ip -6 route replace fd00:244:{peer}::/64 dev lo proto 80 metric 112"),
            },
            Sort::Surplus => match self.noise.below(3) {
                0 => "ip route add 10.244.200.0/24 via 192.168.2.2 proto 112 metric 112".to_owned(),
                1 => "ip route add blackhole 10.244.201.0/24 proto 112".to_owned(),
                _ => format!(
                    "ip route append 10.244.{peer}.0/24 via 192.168.2.9 proto 112 metric 112"
                ),
            },
            // Somebody else's, which stays as long as he wants.
            Sort::Overruled => self.noise.choose(&[OVERRULING.0, OVERRULING.1]).to_owned(),
            Sort::Mtu => format!("ip link set {UNDERLAY} mtu {mtu}"),
            _ => {
                let mut switches = vec!["net.ipv4.ip_forward=0"];
                if mode.pods() == Pods::Dual {
                    switches.push("net.ipv6.conf.all.forwarding=0");
                }
                if mode == Mode::Vxlan {
                    switches.push("net.ipv4.conf.vxlan/1.rp_filter=1");
                    switches.push("net.ipv6.conf.vxlan-v6/1.disable_ipv6=1");
                }
                format!("sysctl -qw {}", self.noise.choose(&switches))
            }
        }
    }

    fn underlay(&mut self) -> String {
        let node = self.site.node(1);
        node.run(&["ip", "link", "set", UNDERLAY, "down"]);
        pause(self.noise.below(300));
        node.run(&["ip", "link", "set", UNDERLAY, "up"]);
        // The kernel drops global IPv6 addresses of a link that goes down, and entries of whomever.
        node.batch(&format!("addr replace fd00:192:168:2::1/64 dev {UNDERLAY} nodad\n"));
        foreign::renew(node);
        "down and up".to_owned()
    }

    fn address(&mut self) -> String {
        let node = self.site.node(1);
        let other = self.noise.below(2) == 0;
        node.run(&["ip", "addr", "del", "192.168.2.1/24", "dev", UNDERLAY]);
        if other {
            node.run(&["ip", "addr", "add", "192.168.2.51/24", "dev", UNDERLAY]);
        }
        pause(self.noise.below(300));
        if other {
            node.run(&["ip", "addr", "del", "192.168.2.51/24", "dev", UNDERLAY]);
        }
        node.run(&["ip", "addr", "add", "192.168.2.1/24", "dev", UNDERLAY]);
        foreign::renew(node);
        if other { "another one and back" } else { "none and back" }.to_owned()
    }

    fn device(&mut self, sort: Sort) -> String {
        let mode = self.site.cluster.mode;
        let devices = own_devices(mode);
        let device = self.noise.choose(&devices);
        let ipv6 = device.contains("v6");
        // Of the family that it carries.
        let (own, other, peer) = if ipv6 {
            ("fd00:244:1::77/128", "fe80::9", "fe80::8")
        } else {
            ("10.244.1.77/32", "10.244.9.0", "10.244.2.0")
        };
        let at = if ipv6 { "fd00:192:168:2::9" } else { "192.168.2.9" };
        let shared = mode == Mode::Ipip;
        let commands: &[&str] = match (sort, shared) {
            (Sort::Device, false) => &[
                "ip link set DEVICE down",
                "ip link del DEVICE",
                "ip link set DEVICE address 66:00:00:00:00:99",
                "ip link set DEVICE mtu 1300",
                "ip link set DEVICE alias somebody",
                "ip link set DEVICE down; ip link set DEVICE alias podwire:pods name renamed0",
                "ip link del DEVICE; ip link add DEVICE type vxlan id 77 dstport 8472 dev eth0; \
                 ip link set DEVICE alias podwire:pods",
                "ip link set DEVICE addrgenmode eui64",
            ],
            (Sort::Device, true) => &["ip link set DEVICE down", "ip link set DEVICE mtu 1300"],
            (_, false) => &[
                "ip neigh flush dev DEVICE nud permanent",
                "ip addr flush dev DEVICE",
                "ip addr add OWN dev DEVICE",
                "ip neigh add OTHER lladdr 66:00:00:00:00:09 dev DEVICE nud permanent",
                "ip neigh replace PEER lladdr 66:00:00:00:00:09 dev DEVICE nud permanent",
                "bridge fdb add 66:00:00:00:00:77 dev DEVICE dst AT",
                "bridge fdb add 00:00:00:00:00:00 dev DEVICE dst AT",
                "bridge fdb flush dev DEVICE",
                "ip route add 192.0.2.0/24 dev DEVICE proto 80",
            ],
            (_, true) => &["ip addr flush dev DEVICE", "ip addr add OWN dev DEVICE"],
        };
        let command = self.noise.choose(commands).replace("DEVICE", device);
        let command = [("OWN", own), ("OTHER", other), ("PEER", peer), ("AT", at)]
            .iter()
            .fold(command, |command, (word, value)| command.replace(word, value));
        command.split("; ").for_each(|one| attempt(&self.site, one));
        command
    }

    fn firewall(&mut self) -> String {
        let node = self.site.node(1);
        let objects = node.nft();
        let sets = objects.iter().filter_map(|object| object["set"]["name"].as_str());
        let name =
            sets.into_iter().find(|name| name.starts_with("exempt4-") && *name != "exempt4-other");
        let words = match (self.noise.below(4), name) {
            (1, Some(name)) => format!("flush set inet podwire {name}"),
            (2, Some(name)) => format!("delete element inet podwire {name} {{ 192.168.2.2 }}"),
            (3, Some(name)) => format!("add element inet podwire {name} {{ 203.0.113.0/24 }}"),
            _ => "delete table inet podwire".to_owned(),
        };
        drop(node.try_run(&["nft", &words]));
        words
    }

    fn fleet(&mut self) -> String {
        let path = self.site.fleet_file();
        let clear = |path: &PathBuf| drop(fs::remove_dir(path));
        clear(&path);
        let what = match self.noise.below(8) {
            0 => {
                self.site.entry(3).take();
                self.site.write();
                "n3 leaves"
            }
            1 | 2 => {
                *self.site.entry(3) = self.third.clone();
                self.site.write();
                "n3 comes"
            }
            3 => {
                self.site.write_text("garbage");
                "garbage"
            }
            4 => {
                let text = self.site.fleet().to_string();
                self.site.write_text(&text[..text.len() / 2]);
                "a half"
            }
            5 => {
                drop(fs::remove_file(&path));
                "missing"
            }
            6 => {
                drop(fs::remove_file(&path));
                fs::create_dir(&path).unwrap();
                pause(self.noise.below(100));
                clear(&path);
                self.site.write();
                "a directory for a moment"
            }
            _ => {
                self.site.write();
                "as it was"
            }
        };
        what.to_owned()
    }

    fn conflist(&mut self) -> String {
        let path = self.site.conflist_file(1);
        let good: Value = serde_json::from_str(&self.conflist).unwrap();
        let with = |key: &str, value: Value| {
            let mut list = good.clone();
            list["plugins"][1][key] = value;
            list.to_string()
        };
        let (what, text) = match self.noise.below(8) {
            0 => ("garbage", "garbage".to_owned()),
            1 => ("another network", self.conflist.replace("\"pods\"", "\"other\"")),
            2 => ("another MTU", with("mtu", json!(1290))),
            3 if self.is_renumbered => ("another number", with("protocol", json!(113))),
            4 => ("another device", with("device", json!("another.0"))),
            5 => ("an impossible MTU", with("mtu", json!(60000))),
            _ => ("as it was", self.conflist.clone()),
        };
        // Somebody else's address stands on the kernel's own device, where that is another's tunnel.
        let shared = self.site.cluster.mode == Mode::Ipip;
        let text = if shared && what == "another device" { self.conflist.clone() } else { text };
        replace(&path, &text);
        what.to_owned()
    }

    fn files(&mut self) -> String {
        let state = self.site.state(1);
        let peers = self.site.cluster.fleet.roster.path(self.site.node(1));
        let mut files = vec![peers, state.join("agent.json")];
        if !self.is_renumbered {
            files.push(state.join("record.json"));
        }
        let at = self.noise.below(u64::try_from(files.len()).unwrap());
        let file = &files[usize::try_from(at).unwrap()];
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        match self.noise.below(3) {
            0 => drop(fs::remove_file(file)),
            1 => fs::write(file, "garbage").unwrap(),
            _ => {
                let half = fs::read(file).unwrap_or_default();
                fs::write(file, &half[..half.len() / 2]).unwrap();
            }
        }
        name
    }

    /// kill -9 at any time, or at any of its steps; sometimes nobody looks for a while.
    fn agent(&mut self) -> String {
        if let Some(agent) = self.agent.take() {
            agent.kill();
        }
        let what = match self.noise.below(3) {
            0 => {
                pause(self.noise.below(500));
                "killed".to_owned()
            }
            1 => {
                let order = format!("die:{}", 1 + self.noise.below(300));
                let mut doomed = self.site.start_with(1, &[], &[("PODWIRE_FAULT", &order)]);
                let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
                while doomed.runs() && std::time::Instant::now() < end {
                    pause(10);
                }
                doomed.kill();
                order
            }
            _ => {
                let doomed = self.site.start(1);
                pause(self.noise.below(300));
                doomed.kill();
                "killed twice".to_owned()
            }
        };
        self.agent = Some(self.begun());
        what
    }

    /// One that has read the conflist as it should be: with what it finds there next it may not even begin.
    fn begun(&self) -> Agent {
        let log = self.site.node(1).directory().join("agent.log");
        let begun = || fs::read_to_string(&log).unwrap().matches("podwire agent begins").count();
        let before = begun();
        let mut agent = self.site.start(1);
        until("it begins", || match begun() {
            now if now > before => Ok(()),
            _ if agent.runs() => Err("not yet"),
            _ => panic!("{}", agent.log()),
        });
        agent
    }
}

/// A route that is preferred to ours, and its removal.
const OVERRULING: (&str, &str) = (
    "ip route replace 10.244.2.0/24 via 192.168.2.9 proto 80 metric 50",
    "ip route del 10.244.2.0/24 proto 80 metric 50",
);

fn pause(milliseconds: u64) {
    std::thread::park_timeout(std::time::Duration::from_millis(milliseconds));
}
