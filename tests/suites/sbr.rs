//! `sbr`: what comes from an address goes by its interface, judged by `ip rule`, `ip route` and traffic.

use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Attachment, Node, Pod, VERSIONS, need, tcp};

use crate::chained::{self, Ground, conf, inside, same};
use crate::conf::{DUAL, bridge, ptp, with};

fn sbr(_: &Node) -> Value {
    conf("sbr", json!({}))
}

/// The table that a rule for this source leads to.
fn table(pod: &Pod, ip: &str) -> Option<String> {
    let family = if ip.contains(':') { "-6" } else { "-4" };
    let rules = pod.ip(&[family, "rule"]);
    let found = rules.as_array().unwrap().iter().find(|rule| rule["src"] == ip);
    found.map(|rule| rule["table"].as_str().unwrap().to_owned())
}

/// Destinations in a table, with their gateways.
fn routes(pod: &Pod, ip: &str, table: &str) -> Vec<String> {
    let family = if ip.contains(':') { "-6" } else { "-4" };
    let text = |route: &Value| match route["gateway"].as_str() {
        Some(gateway) => format!("{} via {gateway}", route["dst"].as_str().unwrap()),
        None => route["dst"].as_str().unwrap().to_owned(),
    };
    let mut all: Vec<String> = pod.routes(family, table).iter().map(text).collect();
    all.retain(|route| !route.starts_with("fe80") && !route.starts_with("ff00"));
    all.sort();
    all
}

#[test]
fn routes_move_to_tables_of_their_sources_and_back() {
    for version in VERSIONS {
        let first = |node: &Node| with(ptp(node, DUAL), json!({"cniVersion": version}));
        let ground = Ground::behind(first);
        let (node, pod) = (&ground.node, &ground.pod);
        let before = ground.state();
        let conf = with(sbr(node), json!({"cniVersion": version}));
        let output = node.add(&ground.with_result(&conf), pod, "eth0");
        assert_eq!(output.stderr, "", "the reference talks");
        let attached =
            Attachment { conf: conf.clone(), ..node.attached(&conf, pod, "eth0", &output) };
        let ips = attached.ips();
        for (at, ip) in ips.iter().enumerate() {
            let table = table(pod, ip).unwrap();
            assert_eq!(table, (100 + at).to_string());
            assert_eq!(routes(pod, ip, "main"), [""; 0], "{version}");
            let want = if ip.contains(':') {
                ["default via fd00:1::1", "fd00:1::/64 via fd00:1::1", "fd00:1::1"]
            } else {
                ["10.1.0.0/24 via 10.1.0.1", "10.1.0.1", "default via 10.1.0.1"]
            };
            assert_eq!(routes(pod, ip, &table), want, "{version}");
            assert_eq!(tcp(node, pod, ip).unwrap().to_string(), want_gateway(ip));
        }
        if *version >= "1.0.0" {
            let told = attached.result["routes"].as_array().unwrap();
            let tables: Vec<&Value> = told.iter().map(|route| &route["table"]).collect();
            assert_eq!(tables, [&json!(100), &json!(101)]);
        }
        if *version >= "0.4.0" {
            node.check(&attached).ok();
            // The first plugin finds its routes where they are now, even with the result before.
            node.check(&Attachment { conf: ground.first.conf.clone(), ..attached.clone() }).ok();
            node.check(&ground.first).ok();
        }
        node.del(&attached).ok();
        same(version, &before, &ground.state());
    }
}

fn want_gateway(ip: &str) -> &'static str {
    if ip.contains(':') { "fd00:1::1" } else { "10.1.0.1" }
}

#[test]
fn two_interfaces_of_a_container_answer_each_by_itself() {
    let ground = Ground::behind(|node| {
        with(bridge(node, &["10.1.0.0/24"]), json!({"isDefaultGateway": true}))
    });
    let (node, pod) = (&ground.node, &ground.pod);
    let second = with(bridge(node, &["10.2.0.0/24"]), json!({"name": "two", "bridge": "br2"}));
    let second = node.attach_as(&second, pod, "net1");
    let one = ground.attach(&sbr(node));
    let conf_two = with(conf("sbr", json!({"name": "two"})), json!({"prevResult": second.result}));
    let two = node.attach_as(&conf_two, pod, "net1");
    assert_eq!(table(pod, &one.ip()).as_deref(), Some("100"));
    assert_eq!(table(pod, &two.ip()).as_deref(), Some("101"));
    // A caller from nowhere near is answered by the interface that it came in by.
    let outside = node.outside();
    node.set_sysctl("net/ipv4/ip_forward", "1");
    for subnet in ["10.1.0.0/24", "10.2.0.0/24"] {
        outside.run(&["ip", "route", "add", subnet, "via", testkit::UPLINK_V4]);
    }
    for attached in [&one, &two] {
        assert_eq!(tcp(&outside, pod, &attached.ip()).unwrap().to_string(), testkit::OUTSIDE_V4);
        node.check(attached).ok();
    }
    node.check(&ground.first).ok();
    node.del(&two).ok();
    assert_eq!(table(pod, &two.ip()), None);
    node.check(&one).ok();
}

#[test]
fn many_at_once_choose_different_tables() {
    let ground = Ground::behind(|node| bridge(node, &["10.1.0.0/24"]));
    let (node, pod) = (&ground.node, &ground.pod);
    let firsts: Vec<Attachment> = (1..=6)
        .map(|n| {
            let name = format!("n{n}");
            let subnet = format!("10.2.{n}.0/24");
            let more = json!({"name": name, "bridge": format!("br{n}")});
            node.attach_as(&with(bridge(node, &[&subnet]), more), pod, &name)
        })
        .collect();
    thread::scope(|scope| {
        for first in &firsts {
            let conf = with(sbr(node), json!({"prevResult": first.result}));
            scope.spawn(move || node.attach_as(&conf, pod, &first.ifname));
        }
    });
    let mut tables: Vec<String> = firsts.iter().map(|f| table(pod, &f.ip()).unwrap()).collect();
    tables.sort();
    assert_eq!(tables, ["100", "101", "102", "103", "104", "105"]);
}

#[test]
fn tables_in_use_and_reserved_ones_are_passed_over() {
    let ground = Ground::new();
    let pod = &ground.pod;
    pod.run(&["ip", "rule", "add", "from", "192.0.2.1", "lookup", "100"]);
    pod.run(&["ip", "route", "add", "blackhole", "192.0.2.0/24", "table", "101"]);
    pod.run(&["ip", "-6", "route", "add", "blackhole", "2001:db8::/32", "table", "102"]);
    let rule = |table: u32| {
        format!(
            "rule add to 192.0.2.1 lookup {table}
"
        )
    };
    pod.batch(&(104..253).map(rule).collect::<String>());
    let attached = ground.attach(&sbr(&ground.node));
    let tables: Vec<String> = attached.ips().iter().map(|ip| table(pod, ip).unwrap()).collect();
    assert_eq!(tables, ["103", "256"]);
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
    assert_eq!(routes(pod, "10.1.0.3", "101"), ["192.0.2.0/24"]);
}

#[test]
fn a_gateway_is_found_in_options_routes_and_addresses() {
    let fixed = |node: &Node, gateway: Value| {
        let mut conf = bridge(node, &["10.1.0.0/24"]);
        conf["isGateway"] = json!(false);
        let mut address = json!({"address": "10.1.0.5/24"});
        if gateway.is_string() {
            address["gateway"] = gateway.clone();
        }
        let routes = json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.7"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.8"}]);
        conf["ipam"] = json!({"type": "static", "addresses": [address], "routes": routes});
        conf
    };
    for (own, option, want) in [
        (json!("10.1.0.1"), json!([]), "10.1.0.7"),
        (Value::Null, json!([]), "10.1.0.7"),
        (json!("10.1.0.1"), json!(["fd00:1::9", "10.1.0.9"]), "10.1.0.9"),
    ] {
        let ground = Ground::behind(|node| fixed(node, own.clone()));
        let (node, pod) = (&ground.node, &ground.pod);
        let before = ground.state();
        let attached = ground.attach(&with(sbr(node), json!({"gateways": option})));
        let way = pod.ip(&["route", "get", "198.51.100.7", "from", "10.1.0.5"]);
        assert_eq!(way[0]["gateway"], want, "{way}");
        let there = routes(pod, "10.1.0.5", "100");
        for route in ["10.1.0.0/24", "10.9.0.0/16 via 10.1.0.8", &format!("default via {want}")] {
            assert!(there.iter().any(|have| have == route), "{route}: {there:?}");
        }
        node.check(&attached).ok();
        node.del(&attached).ok();
        same("after DEL", &before, &ground.state());
    }
}

#[test]
fn source_hints_keep_the_subnets_in_main() {
    let ground = Ground::behind(|node| with(bridge(node, DUAL), json!({"isDefaultGateway": true})));
    let (node, pod) = (&ground.node, &ground.pod);
    let before = ground.state();
    let attached = ground.attach(&with(sbr(node), json!({"addSourceHints": true})));
    for (ip, family, subnet) in
        [("10.1.0.3", "-4", "10.1.0.0/24"), ("fd00:1::3", "-6", "fd00:1::/64")]
    {
        assert_eq!(routes(pod, ip, "main"), [subnet]);
        let main = pod.routes(family, "main");
        let route = main.iter().find(|route| route["dst"] == subnet).unwrap();
        assert_eq!(route["prefsrc"], ip, "{route}");
    }
    node.check(&attached).ok();
    node.check(&ground.first).ok();
    node.del(&attached).ok();
    same("after DEL", &before, &ground.state());
}

#[test]
fn a_table_of_somebody_else_gets_rules_alone() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    pod.run(&["ip", "route", "add", "default", "dev", "eth0", "table", "4000"]);
    let before = ground.state();
    let attached = ground.attach(&with(sbr(node), json!({"table": 4000})));
    assert!(attached.ips().iter().all(|ip| table(pod, ip).as_deref() == Some("4000")));
    assert_eq!(routes(pod, "10.1.0.3", "main").len(), 3);
    assert_eq!(attached.result, ground.first.result);
    node.check(&attached).ok();
    pod.run(&["ip", "rule", "del", "from", "10.1.0.3"]);
    node.check(&attached).fails().is(103, &["rule", "10.1.0.3"]);
    let bare = Attachment { conf: sbr(node), ..attached };
    node.del(&bare).ok();
    same("after DEL", &before, &ground.state());
}

#[test]
fn check_names_what_differs() {
    for (damage, word) in [
        ("ip rule del from 10.1.0.3", "rule"),
        ("ip -6 rule del from fd00:1::3", "fd00:1::3"),
        ("ip route del default table 100", "default"),
        ("ip route flush table 100", "table 100"),
        ("ip route add default via 10.1.0.1 dev eth0 onlink", "main"),
        ("ip link del eth0", "missing"),
    ] {
        let ground = Ground::new();
        let attached = ground.attach(&sbr(&ground.node));
        ground.node.check(&attached).ok();
        ground.pod.run(&damage.split(' ').collect::<Vec<_>>());
        ground.node.check(&attached).fails().is(103, &[word]);
    }
}

#[test]
fn what_others_give_the_interface_goes_along_and_comes_back() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    pod.run(&["ip", "addr", "add", "198.51.100.7/24", "dev", "eth0"]);
    let before = ground.state();
    let attached = ground.attach(&sbr(node));
    let table_of = table(pod, &attached.ips()[0]).unwrap();
    assert!(routes(pod, &attached.ips()[0], &table_of).contains(&"198.51.100.0/24".to_owned()));
    // Later, as a router's announcements or another plugin would.
    pod.run(&["ip", "addr", "add", "203.0.113.7/24", "dev", "eth0"]);
    pod.run(&["ip", "addr", "add", "2001:db8:7::7/64", "dev", "eth0", "nodad"]);
    pod.run(&["ip", "-6", "route", "add", "default", "via", "fe80::99", "dev", "eth0"]);
    node.check(&attached).ok();
    pod.run(&["ip", "-6", "route", "del", "default", "via", "fe80::99", "dev", "eth0"]);
    pod.run(&["ip", "addr", "del", "2001:db8:7::7/64", "dev", "eth0"]);
    pod.run(&["ip", "addr", "del", "203.0.113.7/24", "dev", "eth0"]);
    node.del(&attached).ok();
    same("after DEL", &before, &ground.state());
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    chained::refused(
        sbr,
        &[
            (json!({"table": 0}), 7, &["table", "0"]),
            (json!({"table": -1}), 7, &["table", "-1"]),
            (json!({"table": 4_294_967_296_u64}), 7, &["table", "4294967296"]),
            (json!({"table": "main"}), 6, &["table"]),
            (json!({"gateways": ["nearby"]}), 7, &["gateways[0]", "nearby"]),
            (json!({"gateways": ["0.0.0.0"]}), 7, &["gateways[0]", "0.0.0.0"]),
            (
                json!({"gateways": ["10.1.0.1", "10.1.0.3"]}),
                7,
                &["gateways[1]", "10.1.0.3", "10.1.0.1"],
            ),
            (json!({"gateways": "10.1.0.1"}), 6, &["gateways"]),
            (json!({"table": 5, "gateways": ["10.1.0.1"]}), 7, &["table", "gateways"]),
            (json!({"table": 5, "addSourceHints": true}), 7, &["table", "addSourceHints"]),
            (json!({"gateways": ["10.77.0.1"]}), 100, &["10.77.0.1"]),
            (
                json!({"prevResult": {"cniVersion": "1.1.0", "interfaces": []}}),
                7,
                &["no address", "eth0"],
            ),
        ],
    );
}

#[test]
fn a_namespace_that_is_gone_leaves_no_file() {
    let mut ground = Ground::new();
    let attached = ground.attach(&sbr(&ground.node));
    ground.pod.remove();
    ground.node.del(&attached).ok();
    assert!(!std::path::Path::new(&attached.netns).exists());
    let error = ground.node.check(&attached).fails();
    assert_eq!(error.code, 8);
    ground.node.gc(&sbr(&ground.node), &[]).ok();
}

#[test]
fn rules_of_an_interface_that_is_gone_are_found() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    for heard in [true, false] {
        let (other, first) = ground.another();
        let conf = with(sbr(node), json!({"prevResult": first.result}));
        let mut attached = Attachment { conf: sbr(node), ..node.attach(&conf, &other) };
        if !heard {
            attached.result = Value::Null;
        }
        other.run(&["ip", "link", "del", "eth0"]);
        node.del(&attached).ok();
        assert!(!inside(&other).contains("lookup 10"), "{}", inside(&other));
        assert!(attached.ips().iter().all(|ip| table(&other, ip).is_none()));
        let rules = other.ip(&["rule"]);
        assert_eq!(rules.as_array().unwrap().len(), 3, "{rules}");
    }
    assert!(pod.link("eth0").is_some());
}

#[test]
fn whoever_locks_the_namespace_is_waited_for() {
    let ground = Ground::new();
    let file = std::fs::File::open(ground.pod.path()).unwrap();
    file.lock().unwrap();
    let number = format!(":{} ", file.metadata().unwrap().ino());
    thread::scope(|scope| {
        let add = scope.spawn(|| ground.attach(&sbr(&ground.node)));
        // The kernel marks those that wait for a lock (proc(5), /proc/locks).
        let waits = || {
            let locks = std::fs::read_to_string("/proc/locks").unwrap();
            locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&number))
        };
        let start = Instant::now();
        while !waits() {
            assert!(start.elapsed() < Duration::from_secs(20), "nobody waits");
        }
        assert!(!add.is_finished());
        assert_eq!(table(&ground.pod, "10.1.0.3"), None);
        file.unlock().unwrap();
        ground.node.check(&add.join().unwrap()).ok();
    });
}

#[test]
fn status_says_whether_the_kernel_can() {
    let node = Node::new();
    node.status(&sbr(&node)).ok();
    node.status(&conf("sbr", json!({"table": 0}))).fails().is(7, &["table"]);
}

#[test]
fn del_leaves_nothing_whatever_happened() {
    let broken = [json!({"table": "x"}), json!({"gateways": 5}), json!({"prevResult": 7})];
    chained::teardown(sbr, &broken);
}

#[test]
fn gc_has_nothing_to_remove() {
    chained::collects(sbr);
}

mod faults {
    crate::chained::stands_faults!(super::sbr);
}

mod faults_with_hints {
    use crate::conf::with;
    use serde_json::json;
    crate::chained::stands_faults!(|node| with(super::sbr(node), json!({"addSourceHints": true})));
}

#[test]
fn what_the_reference_made_is_deleted() {
    need!(Reference);
    let mut ground =
        Ground::behind(|node| with(bridge(node, DUAL), json!({"isDefaultGateway": true})));
    let conf = with(sbr(&ground.node), json!({"cniVersion": "1.0.0"}));
    ground.node.use_plugins(&testkit::reference_directory().unwrap());
    let attached = ground.attach(&conf);
    ground.node.use_plugins(testkit::directory());
    // Its CHECK of bridge fails behind it.
    ground.node.check(&ground.first).ok();
    ground.node.del(&attached).ok();
    for (ip, table) in [("10.1.0.3", "100"), ("fd00:1::3", "100"), ("fd00:1::3", "101")] {
        assert_eq!(routes(&ground.pod, ip, table), [""; 0]);
    }
    for ip in attached.ips() {
        assert_eq!(table(&ground.pod, &ip), None);
    }
}
