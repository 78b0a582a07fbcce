//! `bandwidth`: token bucket filters, judged by `tc`.

use serde_json::{Value, json};
use testkit::{Attachment, Netns, Node, Pod, VERSIONS, need, ping, transfer};

use crate::chained::{self, Ground, conf, queues, same};
use crate::conf::{DUAL, ptp, with};

/// 8 Mbit/s with 100 KB at once to the container, 16 Mbit/s with 50 KB from it.
fn both(_: &Node) -> Value {
    let rates = json!({
        "ingressRate": 8_000_000, "ingressBurst": 800_000,
        "egressRate": 16_000_000, "egressBurst": 400_000,
    });
    conf("bandwidth", rates)
}

/// The discipline of what leaves a link.
fn root(node: &Node, link: &str) -> Value {
    let text = node.run(&["tc", "-j", "-s", "qdisc", "show", "dev", link, "root"]);
    let mut all: Value = serde_json::from_str(&text).unwrap();
    all[0].take()
}

#[track_caller]
fn limited(node: &Node, link: &str, rate: u64, burst: u64) {
    let shown = root(node, link);
    assert_eq!((&shown["kind"], &shown["handle"]), (&json!("tbf"), &json!("1:")), "{shown}");
    let options = &shown["options"];
    assert_eq!(options["rate"], rate, "{shown}");
    // `tc` reckons both from ticks.
    let near = |have: &Value, want: u64| have.as_u64().unwrap().abs_diff(want) <= want / 100 + 2;
    assert!(near(&options["burst"], burst), "{shown}");
    assert!(near(&options["lat"], 25_000), "{shown}");
}

/// The IFB device that a result names.
fn ifb(attached: &Attachment) -> String {
    let interfaces = attached.result["interfaces"].as_array().unwrap();
    let names = interfaces.iter().filter_map(|i| i["name"].as_str());
    let mut found = names.filter(|name| name.starts_with("bwp"));
    let name = found.next().expect("an IFB device in the result").to_owned();
    assert_eq!(found.next(), None);
    name
}

fn ifbs(node: &Node) -> Vec<String> {
    node.links().into_iter().filter(|name| name.starts_with("bwp")).collect()
}

/// The priorities of the filters of what comes in, and where they redirect.
fn filters(node: &Netns, link: &str) -> Vec<(u64, String)> {
    let text = node.run(&["tc", "-j", "filter", "show", "dev", link, "ingress"]);
    let all: Value = serde_json::from_str(&text).unwrap();
    let redirecting = all.as_array().unwrap().iter().filter(|f| !f["options"]["actions"].is_null());
    redirecting
        .map(|f| {
            let to = f["options"]["actions"][0]["to_dev"].as_str().unwrap_or_default();
            (f["pref"].as_u64().unwrap(), to.to_owned())
        })
        .collect()
}

#[test]
fn both_ways_are_limited_told_checked_and_let_go() {
    for version in VERSIONS.iter().filter(|version| **version >= "0.3.0") {
        let first = |node: &Node| with(ptp(node, DUAL), json!({"cniVersion": version}));
        let ground = Ground::behind(first);
        let node = &ground.node;
        let attached = ground.attach(&with(both(node), json!({"cniVersion": version})));
        let veth = attached.host_link();
        let device = ifb(&attached);
        limited(node, &veth, 1_000_000, 100_000);
        limited(node, &device, 2_000_000, 50_000);
        assert_eq!(filters(node, &veth), [(50_000, device.clone())]);
        let link = node.link(&device).unwrap();
        assert_eq!(link["linkinfo"]["info_kind"], "ifb");
        assert_eq!(link["mtu"], node.link(&veth).unwrap()["mtu"]);
        assert!(link["flags"].as_array().unwrap().contains(&json!("UP")));
        let told = attached.result["interfaces"].as_array().unwrap().last().unwrap();
        assert_eq!((&told["name"], &told["mac"]), (&json!(device), &link["address"]));
        assert!(told["sandbox"].is_null());
        assert!(attached.ips().iter().all(|ip| ping(node, ip)), "{version}");
        if *version >= "0.4.0" {
            node.check(&attached).ok();
            node.check(&Attachment { conf: ground.first.conf.clone(), ..attached.clone() }).ok();
        }
        node.del(&attached).ok();
        assert_eq!(ifbs(node), [""; 0]);
    }
}

#[test]
fn packets_take_the_way_through_the_buckets() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    let rates = json!({
        "ingressRate": 80_000_000, "ingressBurst": 160_000,
        "egressRate": 80_000_000, "egressBurst": 160_000,
    });
    let attached = ground.attach(&conf("bandwidth", rates));
    let held_up = |link: &str| {
        let shown = root(node, link);
        (shown["bytes"].as_u64().unwrap(), shown["overlimits"].as_u64().unwrap())
    };
    let (veth, device) = (attached.host_link(), ifb(&attached));
    for ip in attached.ips() {
        let gateway = if ip.contains(':') { "fd00:1::1" } else { "10.1.0.1" };
        for (link, from, to, address) in
            [(&veth, &**node, &**pod, ip.as_str()), (&device, &**pod, &**node, gateway)]
        {
            let before = held_up(link);
            assert!(transfer(from, to, address, 1 << 20).unwrap());
            let after = held_up(link);
            assert!(after.0 - before.0 >= 1 << 20, "{link}: {before:?} {after:?}");
            assert!(after.1 > before.1, "{link}: nothing was held up");
        }
    }
}

#[test]
fn the_runtime_may_ask_and_the_configuration_counts_alone() {
    let ground = Ground::new();
    let node = &ground.node;
    // As containerd writes it.
    let asked = json!({"capabilities": {"bandwidth": true}, "runtimeConfig": {"bandwidth": {
        "IngressRate": 1_000_000, "IngressBurst": 2_147_483_647_u64, "EgressRate": 0, "EgressBurst": 0,
    }}});
    let attached = ground.attach(&conf("bandwidth", asked.clone()));
    // Of such a burst no more than 4.3 seconds.
    let shown = root(node, &attached.host_link());
    assert_eq!(shown["options"]["rate"], 125_000);
    assert_eq!(ifbs(node), [""; 0]);
    node.check(&attached).ok();
    node.del(&attached).ok();

    let attached = ground.attach(&with(
        conf("bandwidth", asked.clone()),
        json!({
            "egressRate": 16_000_000, "egressBurst": 400_000,
        }),
    ));
    limited(node, &ifb(&attached), 2_000_000, 50_000);
    node.del(&attached).ok();

    let (pod, first) = ground.another();
    let nothing = json!({"ingressRate": 0, "prevResult": first.result});
    let attached = node.attach(&with(conf("bandwidth", asked), nothing), &pod);
    assert_eq!(root(node, &attached.host_link())["kind"], "noqueue");
    assert_eq!(attached.result, first.result);
    node.check(&attached).ok();
    for empty in
        [json!({}), json!({"runtimeConfig": {"bandwidth": null}}), json!({"egressRate": null})]
    {
        let conf = with(conf("bandwidth", empty), json!({"prevResult": first.result}));
        assert_eq!(node.attach(&conf, &pod).result, first.result);
    }
}

#[test]
fn a_rate_beyond_32_bits_is_one() {
    let ground = Ground::new();
    let rates = json!({"ingressRate": 80_000_000_000_u64, "ingressBurst": 8_000_000_000_u64});
    let attached = ground.attach(&conf("bandwidth", rates));
    let shown = root(&ground.node, &attached.host_link());
    assert_eq!(shown["options"]["rate"], 10_000_000_000_u64, "{shown}");
    ground.node.check(&attached).ok();
}

#[test]
fn a_bucket_holds_at_least_one_frame() {
    let ground = Ground::new();
    let rates = json!({"ingressRate": 8_000_000, "ingressBurst": 800});
    let attached = ground.attach(&conf("bandwidth", rates));
    limited(&ground.node, &attached.host_link(), 1_000_000, 1514);
    assert!(testkit::fits(&ground.node, &attached.ips()[0], 1500));
    ground.node.check(&attached).ok();
}

#[test]
fn others_keep_their_filters() {
    for discipline in [&["clsact"][..], &["handle", "ffff:", "ingress"]] {
        let ground = Ground::new();
        let node = &ground.node;
        let veth = ground.first.host_link();
        node.run(&[&["tc", "qdisc", "add", "dev", &veth], discipline].concat());
        let theirs = "protocol ip prio 10 u32 match ip dst 203.0.113.9/32 action mirred egress redirect dev lo";
        let theirs: Vec<&str> = theirs.split(' ').collect();
        node.run(&[&["tc", "filter", "add", "dev", &veth, "ingress"], &theirs[..]].concat());
        let before = queues(node);
        let attached = ground.attach(&both(node));
        let device = ifb(&attached);
        assert_eq!(filters(node, &veth), [(10, "lo".to_owned()), (50_000, device)]);
        node.check(&attached).ok();
        // An ADD that fails leaves theirs.
        node.del(&attached).ok();
        node.run(&[
            "tc", "filter", "del", "dev", &veth, "ingress", "prio", "50000", "protocol", "all",
        ]);
        node.run(&["tc", "qdisc", "del", "dev", &veth, "root"]);
        same("but for ours", &before, &queues(node));
    }
}

#[test]
fn a_discipline_of_others_is_not_replaced() {
    let ground = Ground::new();
    let node = &ground.node;
    let veth = ground.first.host_link();
    node.run(&["tc", "qdisc", "add", "dev", &veth, "root", "handle", "5:", "pfifo", "limit", "9"]);
    let before = (ground.state(), queues(node));
    let output = node.add(&ground.with_result(&both(node)), &ground.pod, "eth0");
    output.fails().is(101, &[&veth, "pfifo", "5:"]);
    same("a refusal", &before.0, &ground.state());
    same("a refusal", &before.1, &queues(node));
}

#[test]
fn a_second_add_changes_the_limits_in_place() {
    let ground = Ground::new();
    let node = &ground.node;
    let attached = ground.attach(&both(node));
    let handles = || (node.link(&ifb(&attached)).unwrap()["ifindex"].clone(), ifbs(node));
    let before = handles();
    let change =
        json!({"ingressRate": 24_000_000, "egressRate": 32_000_000, "egressBurst": 800_000});
    let again = ground.attach(&with(both(node), change));
    limited(node, &again.host_link(), 3_000_000, 100_000);
    limited(node, &ifb(&again), 4_000_000, 100_000);
    assert_eq!(handles(), before);
    assert_eq!(filters(node, &again.host_link()).len(), 1);
    node.check(&again).ok();
    node.check(&attached).fails().is(103, &["rate"]);
}

#[test]
fn a_device_that_was_left_behind_is_no_hindrance() {
    let mut ground = Ground::new();
    let id = ground.pod.id.clone();
    let conf = both(&ground.node);
    let device = ifb(&ground.attach(&conf));
    ground.pod.remove();
    ground.node.del(&ground.first).ok();
    assert_eq!(ifbs(&ground.node), [device.as_str()], "nobody has deleted it");
    ground.pod = Pod::new();
    ground.pod.id = id;
    ground.first = ground.node.attach(&ground.first.conf, &ground.pod);
    let attached = ground.attach(&conf);
    assert_eq!(ifb(&attached), device);
    ground.node.check(&attached).ok();
    assert!(ping(&ground.pod, "10.1.0.1"));
    // A device of somebody else with that name is not taken.
    ground.node.del(&attached).ok();
    ground.node.run(&["ip", "link", "add", &device, "type", "bridge"]);
    let before = (ground.state(), queues(&ground.node));
    let output = ground.node.add(&ground.with_result(&conf), &ground.pod, "eth0");
    output.fails().is(101, &[&device]);
    same("a refusal", &before.0, &ground.state());
    ground.node.del(&attached).ok();
    same("a DEL", &before.0, &ground.state());
}

#[test]
fn two_interfaces_of_a_container_have_a_device_each() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    let first = node.attach_as(&ground.first.conf, pod, "eth1");
    let one = ground.attach(&both(node));
    let conf = with(both(node), json!({"prevResult": first.result}));
    let two = node.attach_as(&conf, pod, "eth1");
    assert_ne!(ifb(&one), ifb(&two));
    node.check(&one).ok();
    node.check(&two).ok();
    node.del(&two).ok();
    node.del(&two).ok();
    node.check(&one).ok();
    assert_eq!(ifbs(node), [ifb(&one)]);
}

#[test]
fn what_is_no_veth_cannot_be_limited() {
    let ground = Ground::new();
    ground.pod.run(&["ip", "link", "add", "eth5", "type", "ifb"]);
    let conf = ground.with_result(&both(&ground.node));
    ground.node.add(&conf, &ground.pod, "eth5").fails().is(7, &["eth5", "veth"]);
    ground.node.add(&conf, &ground.pod, "eth6").fails().is(3, &["eth6"]);
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let wrong = |more: Value| {
        with(
            json!({"ingressRate": null, "ingressBurst": null, "egressRate": null, "egressBurst": null}),
            more,
        )
    };
    chained::refused(
        both,
        &[
            (wrong(json!({"ingressRate": 8000})), 7, &["ingressRate", "8000", "ingressBurst"]),
            (wrong(json!({"ingressBurst": 8000})), 7, &["ingressBurst", "8000", "ingressRate"]),
            (wrong(json!({"egressRate": 8000})), 7, &["egressRate", "8000", "egressBurst"]),
            (wrong(json!({"egressBurst": 8000})), 7, &["egressBurst", "8000", "egressRate"]),
            (json!({"ingressRate": 7}), 7, &["ingressRate", "7"]),
            (json!({"ingressRate": -8}), 7, &["ingressRate", "-8"]),
            (json!({"ingressRate": 1.5}), 7, &["ingressRate", "1.5"]),
            (json!({"ingressRate": "8M"}), 6, &["ingressRate", "8M"]),
            (json!({"ingressBurst": 34_359_738_360_u64}), 7, &["ingressBurst", "34359738360"]),
            (
                wrong(json!({"runtimeConfig": {"bandwidth": {"EgressRate": 8000}}})),
                7,
                &["runtimeConfig.bandwidth.egressRate", "8000", "egressBurst"],
            ),
            (wrong(json!({"runtimeConfig": {"bandwidth": []}})), 6, &["bandwidth"]),
        ],
    );
}

#[test]
fn subnets_earn_a_warning_and_everything_is_limited() {
    let ground = Ground::new();
    for key in ["shapedSubnets", "unshapedSubnets"] {
        let conf = with(both(&ground.node), json!({key: ["10.0.0.0/8"]}));
        let output = ground.node.add(&ground.with_result(&conf), &ground.pod, "eth0");
        output.ok();
        assert!(output.stderr.contains(key), "{output}");
    }
}

#[test]
fn check_names_what_differs() {
    let damages: &[(&[&str], &str)] = &[
        (&["tc", "qdisc", "del", "dev", "VETH", "root"], "not limited"),
        (
            &[
                "tc", "qdisc", "change", "dev", "VETH", "root", "tbf", "rate", "9mbit", "burst",
                "100kb", "latency", "25ms",
            ],
            "rate",
        ),
        (
            &[
                "tc", "qdisc", "change", "dev", "VETH", "root", "tbf", "rate", "8mbit", "burst",
                "9kb", "latency", "25ms",
            ],
            "burst",
        ),
        (&["tc", "qdisc", "del", "dev", "IFB", "root"], "not limited"),
        (&["tc", "qdisc", "del", "dev", "VETH", "clsact"], "not redirected"),
        (&["ip", "link", "set", "IFB", "down"], "down"),
        (&["ip", "link", "del", "IFB"], "missing"),
    ];
    for (damage, word) in damages {
        let ground = Ground::new();
        let attached = ground.attach(&both(&ground.node));
        ground.node.check(&attached).ok();
        let (veth, device) = (attached.host_link(), ifb(&attached));
        let command: Vec<&str> = damage
            .iter()
            .map(|part| match *part {
                "VETH" => veth.as_str(),
                "IFB" => device.as_str(),
                other => other,
            })
            .collect();
        ground.node.run(&command);
        ground.node.check(&attached).fails().is(103, &[word]);
    }
}

#[test]
fn status_says_whether_the_kernel_can() {
    let node = Node::new();
    node.status(&both(&node)).ok();
    node.status(&conf("bandwidth", json!({"ingressRate": 8000}))).fails().is(7, &["ingressRate"]);
}

#[test]
fn del_leaves_nothing_whatever_happened() {
    chained::teardown(
        both,
        &[
            json!({"ingressRate": "x"}),
            json!({"egressBurst": 0}),
            json!({"ingressRate": 0, "ingressBurst": 0, "egressRate": 0, "egressBurst": 0}),
            json!({"prevResult": 7}),
        ],
    );
}

#[test]
fn gc_removes_what_is_not_listed() {
    chained::collects(both);
}

mod faults {
    crate::chained::stands_faults!(super::both);
}

#[test]
fn what_the_reference_made_is_checked_and_deleted() {
    need!(Reference);
    for gone in [false, true] {
        for heard in [true, false] {
            let mut ground = Ground::new();
            let conf = with(both(&ground.node), json!({"cniVersion": "1.0.0"}));
            ground.node.use_plugins(&testkit::reference_directory().unwrap());
            let mut attached = ground.attach(&conf);
            ground.node.use_plugins(testkit::directory());
            ground.node.check(&attached).ok();
            assert_eq!(ifbs(&ground.node).len(), 1);
            if !heard {
                attached.result = Value::Null;
            }
            if gone {
                ground.pod.remove();
            }
            ground.node.del(&attached).ok();
            assert_eq!(ifbs(&ground.node), [""; 0], "{gone} {heard}");
        }
    }
}

#[test]
fn the_reference_finds_what_ours_made() {
    need!(Reference);
    let mut ground = Ground::new();
    // Of one way alone: the reference looks for a device of another name.
    let conf = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000, "cniVersion": "1.0.0"});
    let attached = ground.attach(&chained::conf("bandwidth", conf));
    ground.node.use_plugins(&testkit::reference_directory().unwrap());
    ground.node.check(&attached).ok();
    ground.node.del(&attached).ok();
}
