//! What is somebody else's, of every sort that the agent has to do with.

use serde_json::Value;
use testkit::{Node, UNDERLAY};

/// Somebody else's things on a node.
pub struct Foreign {
    /// As they were made.
    pub before: Vec<String>,
}

/// Links, and routes through them: under our number and within the cluster's networks among them.
const LINKS: &str = "link add other0 type veth peer name other1\n\
    link set other1 up\n\
    link set other0 alias podwire:others up\n\
    addr add 198.18.0.1/24 dev other0\n\
    addr add fd00:198:18::1/64 dev other0 nodad\n\
    link add br-other type bridge\n\
    link set br-other up\n\
    addr add 198.19.0.1/24 dev br-other\n\
    neigh add 198.18.0.2 lladdr 02:00:00:00:00:02 dev other0 nud permanent\n\
    neigh add fd00:198:18::2 lladdr 02:00:00:00:00:02 dev other0 nud permanent\n\
    route add 10.244.77.0/24 via 198.18.0.2 proto 80\n\
    route add 10.244.78.0/25 dev other0 proto 80 metric 112\n\
    route add 172.20.0.0/16 via 198.18.0.2 proto 112\n\
    route add blackhole 10.244.2.0/24 metric 900 proto 17\n\
    route add fd00:244:77::/64 via fd00:198:18::2 proto 80\n\
    route add fd00:172:20::/64 via fd00:198:18::2 proto 112\n\
    rule add from 198.18.0.0/24 table 77 priority 7700\n\
    route add default via 198.18.0.2 table 77 proto 112\n";

const RULESET: &str = "\
    add table ip podwire\n\
    add set ip podwire exempt4-other { type ipv4_addr; }\n\
    add element ip podwire exempt4-other { 192.0.2.7 }\n\
    add table inet other\n\
    add set inet other s { type ipv4_addr; }\n\
    add element inet other s { 192.0.2.8 }\n\
    add chain inet other c { type filter hook forward priority 10; }\n\
    add rule inet other c ip saddr @s drop\n";

/// Entries of the underlay's interface.
fn entries(word: &str) -> String {
    format!(
        "neigh {word} 192.168.2.200 lladdr 02:00:00:00:02:00 dev {UNDERLAY} nud permanent\n\
         neigh {word} fd00:192:168:2::200 lladdr 02:00:00:00:02:00 dev {UNDERLAY} nud permanent\n"
    )
}

impl Foreign {
    pub fn make(node: &Node) -> Self {
        node.batch(LINKS);
        // A device that the kernel may not know.
        let _ = node.try_run(&words(
            "ip link add vx-other type vxlan id 4711 dstport 4789 local 198.18.0.1",
        ));
        let _ =
            node.try_run(&words("bridge fdb add 02:00:00:00:00:09 dev vx-other dst 198.18.0.9"));
        node.run(&words(&format!(
            "bridge fdb add 02:00:00:00:00:77 dev {UNDERLAY} self permanent"
        )));
        node.feed(&["nft", "-f", "-"], RULESET).unwrap();
        renew(node);
        let before = now(node);
        for word in
            ["10.244.77.0/24", "fd00:172:20::/64", "02:00:00:00:00:77", "fd00:192:168:2::200"]
        {
            assert!(before.iter().any(|line| line.contains(word)), "{word}: {before:#?}");
        }
        Self { before }
    }

    /// So that what is left under our number is ours, and nothing is preferred to it.
    pub fn remove(node: &Node) {
        for link in ["other0", "br-other", "vx-other"] {
            let _ = node.try_run(&["ip", "link", "del", link]);
        }
        node.run(&["ip", "route", "del", "blackhole", "10.244.2.0/24", "metric", "900"]);
        node.run(&["ip", "rule", "del", "priority", "7700"]);
    }
}

/// What goes with the underlay's interface when that goes down, whoever made it.
pub fn renew(node: &Node) {
    node.batch(&entries("replace"));
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

/// All that is not the network's, one line each.
pub fn now(node: &Node) -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |what: &str, value: Value, is: &dyn Fn(&Value) -> bool| {
        let list = value.as_array().cloned().unwrap_or_default();
        all.extend(list.iter().filter(|one| is(one)).map(|one| format!("{what} {one}")));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for family in ["-4", "-6"] {
        let routes = node.ip(&[family, "route", "show", "table", "all"]);
        add("route", routes, &|route| {
            let dst = text(&route["dst"]);
            let ours = route["protocol"] == "112" && is_within(&dst) && route["table"].is_null();
            !ours
                && route["protocol"] != "kernel"
                && route["table"] != "local"
                && dst != "multicast"
        });
        add("rule", node.ip(&[family, "rule"]), &|_| true);
    }
    for device in ["other0", UNDERLAY] {
        add("neigh", node.ip(&["neigh", "show", "nud", "permanent", "dev", device]), &|_| true);
        let others = |entry: &Value| text(&entry["mac"]).starts_with("02:00:00");
        add("fdb", node.bridge(&["fdb", "show", "dev", device]), &others);
    }
    if node.link("vx-other").is_some() {
        add("fdb", node.bridge(&["fdb", "show", "dev", "vx-other"]), &|entry| {
            entry["dst"].is_string()
        });
    }
    for link in ["other0", "other1", "br-other"] {
        let mut link = node.ip(&["addr", "show", "dev", link]);
        // It changes by itself.
        link[0].as_object_mut().unwrap().remove("operstate");
        let addresses = link[0]["addr_info"].as_array_mut().unwrap();
        addresses.retain(|address| address["scope"] != "link");
        for address in addresses {
            address.as_object_mut().unwrap().retain(|key, _| !key.ends_with("life_time"));
        }
        add("link", link, &|_| true);
    }
    let others = node.nft().into_iter().filter(|object| {
        let part = object.as_object().unwrap().values().next().unwrap();
        let ours = |key: &str| part[key] == "podwire";
        let is_ours = part["family"] != "ip" && (ours("table") || ours("name"));
        object["metainfo"].is_null() && !is_ours
    });
    add("nft", others.map(without_handle).collect(), &|_| true);
    all.sort();
    all
}

fn without_handle(mut object: Value) -> Value {
    for part in object.as_object_mut().unwrap().values_mut() {
        part.as_object_mut().unwrap().remove("handle");
    }
    object
}

fn is_within(dst: &str) -> bool {
    dst.starts_with("10.244.") || dst.starts_with("fd00:244:")
}
