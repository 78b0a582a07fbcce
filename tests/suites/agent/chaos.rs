//! Random damage for a while: afterwards the kernel has what the description says, and what is
//! somebody else's is as it was.

use serde_json::Value;
use testkit::UNDERLAY;

use super::ground::Site;
use crate::nodes::each_mode;
use crate::nodes::ground::Mode;

each_mode! { whatever_is_damaged_comes_back_and_nothing_else_is_touched }

/// How often something is damaged.
const ROUNDS: u32 = 120;

/// Numbers without a pattern; the same each time, so that a failure can be seen again.
struct Noise(u64);

impl Noise {
    /// One of `0..below`.
    fn below(&mut self, below: u64) -> u64 {
        // xorshift64, Marsaglia 2003
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Routes of others, under our number and inside of the cluster's networks among them.
const FOREIGN: &str = "route add 10.244.77.0/24 via 192.168.2.2 proto 80\n\
    route add 172.20.0.0/16 via 192.168.2.2 proto 112\n\
    route add blackhole 10.244.2.0/24 metric 900 proto 17\n\
    route add 198.18.0.0/15 dev eth0\n";

/// What is not the network's.
fn foreign(site: &Site) -> Vec<Value> {
    let routes = site.node(1).routes("-4", "main").into_iter();
    let others = routes.filter(|route| {
        let dst = route["dst"].as_str().unwrap();
        let ours = route["protocol"] == "112" && dst.starts_with("10.244.");
        !ours && route["protocol"] != "kernel"
    });
    others.collect()
}

fn whatever_is_damaged_comes_back_and_nothing_else_is_touched(mode: Mode) {
    let (mut site, mut agents) = Site::running(mode);
    site.node(1).batch(FOREIGN);
    let others = foreign(&site);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15 ^ u64::from(ROUNDS));
    let mut agent = Some(agents.remove(0));
    let (third, ours) = (site.entry(3).clone(), own_devices(mode));
    for round in 0..ROUNDS {
        let peer = 2 + noise.below(2);
        let node = site.node(1);
        // Whether there is anything left to be damaged is chance.
        let damage = |command: &str| drop(node.try_run(&words(command)));
        match noise.below(14) {
            0 => damage(&format!("ip route del 10.244.{peer}.0/24 proto 112")),
            1 => damage("ip -4 route flush proto 112 root 10.244.0.0/16"),
            2 => damage("ip -6 route flush proto 112"),
            3 => damage(&format!("ip route replace blackhole 10.244.{peer}.0/24 metric 112")),
            4 => damage("ip route add 10.244.200.0/24 via 192.168.2.2 proto 112 metric 112"),
            5 => damage(&format!("ip link set {UNDERLAY} mtu {}", 1400 + 100 * noise.below(3))),
            6 if round % 3 == 0 => {
                site.entry(3).take();
                site.write();
            }
            7 => {
                *site.entry(3) = third.clone();
                site.write();
            }
            8 => site.write_text("garbage"),
            9 if round % 4 == 0 => {
                agent.take().unwrap().kill();
                agent = Some(site.start(1));
            }
            kind => {
                for device in &ours {
                    match kind {
                        10 => damage(&format!("ip link set {device} down")),
                        11 => damage(&format!("ip link set {device} address 66:00:00:00:00:99")),
                        12 => damage(&format!("ip neigh flush dev {device} nud permanent")),
                        13 if device.starts_with("vxlan") => {
                            damage(&format!("ip link del {device}"));
                        }
                        _ => damage(&format!("ip addr flush dev {device}")),
                    }
                }
            }
        }
    }
    *site.entry(3) = third;
    site.write();
    site.cluster.fleet.set_mtu(1, 1500);
    super::ground::until("nothing is left to be done", || {
        let plan = site.command(1, "plan", &[]);
        if plan.code == Some(0) && plan.out.is_empty() { Ok(()) } else { Err(plan) }
    });
    assert_eq!(foreign(&site), others);
    // It has our number, so it would be counted with ours.
    site.node(1).run(&["ip", "route", "del", "172.20.0.0/16"]);
    site.settle();
    site.agent_tells(1, "that all is well", |state| {
        state["trouble"].is_null() && state["sourceTrouble"].is_null()
    });
    site.cluster.all_talk();
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

/// The tunnel devices of a mode.
fn own_devices(mode: Mode) -> Vec<&'static str> {
    [false, true].iter().filter_map(|ipv6| mode.device(*ipv6)).collect()
}
