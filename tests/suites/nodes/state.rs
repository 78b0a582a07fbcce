//! What a node holds for its peers, as `ip` and `bridge` tell it, and what it should.

use std::net::Ipv6Addr;
use std::process::Command;

use serde_json::Value;
use testkit::{Netns, UNDERLAY};

use super::ground::{Cluster, Mode, listed, node_ip};

/// Where what a mode holds is looked for.
#[derive(Clone, Debug)]
pub struct Place {
    pub protocol: u8,
    /// The tunnel devices that there may be.
    pub devices: Vec<String>,
}

impl Place {
    pub fn of(mode: Mode) -> Self {
        let devices = [false, true].iter().filter_map(|v6| mode.device(*v6)).map(str::to_owned);
        Self { protocol: 112, devices: devices.collect() }
    }
}

/// Routes of our protocol, permanent neighbours and permanent FDB entries of the tunnel devices, as
/// sorted lines.
pub fn held(node: &Netns, place: &Place) -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["-4", "-6"] {
        let protocol = place.protocol.to_string();
        let args = ["-d", family, "route", "show", "table", "all", "proto", &protocol];
        lines.extend(node.ip(&args).as_array().expect("routes").iter().map(route));
    }
    for device in &place.devices {
        if node.link(device).is_none() {
            continue;
        }
        let neighbours = node.ip(&["neigh", "show", "nud", "permanent", "dev", device]);
        for entry in neighbours.as_array().expect("neighbours") {
            lines.push(format!(
                "neigh {} {} {device}",
                text(&entry["dst"]),
                text(&entry["lladdr"])
            ));
        }
        let entries = node.bridge(&["fdb", "show", "dev", device]);
        for entry in entries.as_array().expect("entries") {
            lines.push(format!("fdb {} {} {device}", text(&entry["mac"]), text(&entry["dst"])));
        }
    }
    lines.sort();
    lines
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A route as `ip route` would show it, metric and table where they are not as they should be.
pub fn route(route: &Value) -> String {
    let blackhole = route["type"] == "blackhole";
    let mut words = vec![format!("route {}", text(&route["dst"]))];
    if blackhole {
        words.push("blackhole".to_owned());
    }
    if let Some(via) = route["gateway"].as_str() {
        words.push(format!("via {via}"));
    }
    // The kernel hangs IPv6 blackholes on lo.
    if let Some(dev) = route["dev"].as_str().filter(|_| !blackhole) {
        words.push(format!("dev {dev}"));
    }
    if route["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "onlink")) {
        words.push("onlink".to_owned());
    }
    if !route["metrics"][0]["mtu"].is_null() {
        words.push(format!("mtu {}", route["metrics"][0]["mtu"]));
    }
    if route["metric"] != if blackhole { 1_048_576 } else { 112 } {
        words.push(format!("metric {}", route["metric"]));
    }
    if !route["table"].is_null() && route["table"] != "main" {
        words.push(format!("table {}", text(&route["table"])));
    }
    words.join(" ")
}

impl Cluster {
    /// What node `n` should hold, read from the roster. `direct` are the nodes that it reaches
    /// without a tunnel; the routes to the others say the tunnel's MTU then.
    pub fn wanted(&self, n: usize, direct: Option<&[usize]>) -> Vec<String> {
        let entries = &self.fleet.roster.entries;
        let mut lines = Vec::new();
        for (m, entry) in (1..).zip(entries).filter(|(_, entry)| !entry.is_null()) {
            let cidrs = listed(entry, "podCIDRs");
            if m == n {
                lines.extend(cidrs.iter().map(|cidr| format!("route {cidr} blackhole")));
                continue;
            }
            for ipv6 in [false, true] {
                let own: Vec<&String> = cidrs.iter().filter(|c| c.contains(':') == ipv6).collect();
                let Some(first) = own.first() else { continue };
                let at = node_ip(entry, ipv6);
                let device = self.mode.device(ipv6);
                let device = device.filter(|_| !direct.is_some_and(|direct| direct.contains(&m)));
                let tunnel = first.split('/').next().expect("a network").to_owned();
                let gateway = if ipv6 { link_local(&vtep_mac(entry, true)) } else { tunnel };
                let via = if self.mode == Mode::Vxlan && device.is_some() { &gateway } else { &at };
                let mtu = match (direct, device, ipv6) {
                    (Some(_), Some("tunl0"), _) => " mtu 1480",
                    (Some(_), Some(_), false) => " mtu 1450",
                    (Some(_), Some(_), true) => " mtu 1430",
                    _ => "",
                };
                let dev =
                    device.map_or(UNDERLAY.to_owned(), |device| format!("{device} onlink{mtu}"));
                lines.extend(own.iter().map(|cidr| format!("route {cidr} via {via} dev {dev}")));
                if let (Mode::Vxlan, Some(device)) = (self.mode, device) {
                    let mac = vtep_mac(entry, ipv6);
                    lines.push(format!("neigh {gateway} {mac} {device}"));
                    lines.push(format!("fdb {mac} {at} {device}"));
                }
            }
        }
        lines.sort();
        lines
    }

    /// Node `n` holds just what the roster asks for: one of each per peer, and nothing else.
    #[track_caller]
    pub fn holds(&self, n: usize) {
        self.holds_with(n, None);
    }

    /// The same where some peers are reached without the tunnel.
    #[track_caller]
    pub fn holds_with(&self, n: usize, direct: Option<&[usize]>) {
        let (wanted, held) = (self.wanted(n, direct), held(self.node(n), &Place::of(self.mode)));
        assert_eq!(held, wanted, "node {n}, {}", self.mode.plugin());
    }
}

/// The hardware address of a node's VXLAN device: the one given, or 0x66 and the beginning of its name's
/// SHA-256.
pub fn vtep_mac(entry: &Value, ipv6: bool) -> String {
    if let Some(given) = entry[if ipv6 { "vtepMACv6" } else { "vtepMAC" }].as_str() {
        return given.to_owned();
    }
    let name = format!("{}{}", text(&entry["name"]), if ipv6 { "-v6" } else { "" });
    let sum = Command::new("sh").args(["-c", "printf %s \"$0\" | sha256sum", &name]).output();
    let sum = String::from_utf8(sum.expect("sha256sum").stdout).expect("a checksum");
    let pairs: Vec<&str> = (0..5).map(|at| &sum[2 * at..2 * at + 2]).collect();
    format!("66:{}", pairs.join(":"))
}

/// The link-local address that a hardware address makes: with `ff:fe` in its middle, and the bit of
/// local administration turned.
pub fn link_local(mac: &str) -> String {
    let pair = |at: usize| u16::from_str_radix(&mac[3 * at..3 * at + 2], 16).expect("hexadecimal");
    let word = |high: u16, low: u16| high << 8 | low;
    let [first, second] = [word(pair(0) ^ 2, pair(1)), word(pair(2), 0xff)];
    let [third, fourth] = [word(0xfe, pair(3)), word(pair(4), pair(5))];
    Ipv6Addr::new(0xfe80, 0, 0, 0, first, second, third, fourth).to_string()
}
