//! `tuning`: sysctls and attributes, judged by `ip` and `/proc`.

use serde_json::{Value, json};
use testkit::{Attachment, Node, Output, Pod, VERSIONS, need, ping};

use crate::chained::{self, Ground, conf, same};
use crate::conf::with;

const MAC: &str = "02:00:00:00:0a:01";

fn tuning(node: &Node, more: Value) -> Value {
    conf("tuning", with(json!({"dataDir": node.directory().join("tuning")}), more))
}

/// All that it can set.
fn all(node: &Node) -> Value {
    let sysctl = json!({
        "net.core.somaxconn": "517",
        "net/ipv4/conf/IFNAME/arp_filter": "1",
        "net.ipv4.ip_local_port_range": "20000 30000",
    });
    tuning(
        node,
        json!({
            "sysctl": sysctl, "mac": MAC, "mtu": 1400, "promisc": true, "allmulti": true, "txQLen": 77,
        }),
    )
}

fn flags(pod: &Pod) -> Vec<Value> {
    pod.link("eth0").unwrap()["flags"].as_array().unwrap().clone()
}

#[test]
fn everything_is_set_told_checked_and_brought_back() {
    for version in VERSIONS {
        let ground = Ground::behind(|node| {
            with(crate::conf::ptp(node, crate::conf::DUAL), json!({"cniVersion": version}))
        });
        let (node, pod) = (&ground.node, &ground.pod);
        let conf = with(all(node), json!({"cniVersion": version}));
        std::fs::create_dir_all(node.directory().join("tuning")).unwrap();
        let before = ground.state();
        let attached = ground.attach(&conf);
        for (name, value) in [
            ("net/core/somaxconn", "517"),
            ("net/ipv4/conf/eth0/arp_filter", "1"),
            ("net/ipv4/ip_local_port_range", "20000\t30000"),
        ] {
            assert_eq!(pod.sysctl(name), value);
        }
        let link = pod.link("eth0").unwrap();
        assert_eq!((&link["address"], &link["mtu"]), (&json!(MAC), &json!(1400)));
        assert_eq!((&link["txqlen"], &link["promiscuity"]), (&json!(77), &json!(1)));
        assert!(flags(pod).contains(&json!("ALLMULTI")));
        if *version >= "0.3.0" {
            let interfaces = attached.result["interfaces"].as_array().unwrap();
            let own = interfaces.iter().find(|i| i["name"] == "eth0").unwrap();
            assert_eq!(own["mac"], MAC);
            if *version >= "1.0.0" {
                assert_eq!(own["mtu"], 1400);
            }
            assert_ne!(interfaces[0]["mac"], MAC);
        }
        // The node's end is not the container's.
        assert_eq!(node.link(&ground.host_link()).unwrap()["mtu"], 1500);
        assert!(ping(node, &attached.ips()[0]), "{version}");
        if *version >= "0.4.0" {
            node.check(&attached).ok();
            let first = Attachment { conf: ground.first.conf.clone(), ..attached.clone() };
            node.check(&first).ok();
        }
        node.del(&attached).ok();
        same(version, &before, &ground.state());
    }
}

impl Ground {
    fn host_link(&self) -> String {
        let links = self.node.links();
        links.into_iter().find(|name| name.starts_with("veth")).unwrap()
    }
}

#[test]
fn what_asks_for_one_container_weighs_more_than_the_network() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    let macs: Vec<String> = (1..=4).map(|n| format!("02:00:00:00:0b:0{n}")).collect();
    let mut conf = tuning(node, json!({"mac": macs[0], "mtu": 1300, "promisc": true}));
    let add = |conf: &Value, args: &str, mac: &str| {
        let call = node.add_call(&ground.with_result(conf), pod, "eth0").args(args);
        let attached = node.attached(conf, pod, "eth0", &call.run());
        assert_eq!(pod.link("eth0").unwrap()["address"], mac);
        node.check_call(&attached).args(args).run().ok();
        node.del(&attached).ok();
        assert_ne!(pod.link("eth0").unwrap()["address"], mac);
    };
    add(&conf, "", &macs[0]);
    let args = format!("MAC={}", macs[1]);
    add(&conf, &args, &macs[1]);
    conf["runtimeConfig"] = json!({"mac": macs[2]});
    add(&conf, &args, &macs[2]);
    conf["args"] = json!({"cni": {
        "mac": macs[3], "mtu": 1350, "promisc": false, "allmulti": true, "txQLen": 5,
        "sysctl": {"net.core.somaxconn": "99"},
    }});
    add(&conf, &args, &macs[3]);
    conf["sysctl"] = json!({"net/core/somaxconn": "1", "net.ipv4.conf.IFNAME.arp_filter": "1"});
    let attached = ground.attach(&conf);
    assert_eq!(pod.sysctl("net/core/somaxconn"), "99");
    assert_eq!(pod.sysctl("net/ipv4/conf/eth0/arp_filter"), "1");
    let link = pod.link("eth0").unwrap();
    assert_eq!((&link["mtu"], &link["promiscuity"]), (&json!(1350), &json!(0)));
    node.check(&attached).ok();
}

#[test]
fn check_names_what_differs_and_minds_no_listener() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    let attached = ground.attach(&all(node));
    for (damage, mend, word) in [
        ("ip link set eth0 mtu 1401", "ip link set eth0 mtu 1400", "MTU"),
        ("ip link set eth0 promisc off", "ip link set eth0 promisc on", "promiscuous"),
        ("ip link set eth0 allmulticast off", "ip link set eth0 allmulticast on", "all-multicast"),
        ("ip link set eth0 txqueuelen 78", "ip link set eth0 txqueuelen 77", "77"),
        (
            "ip link set eth0 address 02:00:00:00:0a:02",
            "ip link set eth0 address 02:00:00:00:0a:01",
            MAC,
        ),
    ] {
        pod.run(&damage.split(' ').collect::<Vec<_>>());
        node.check(&attached).fails().is(103, &[word]);
        pod.run(&mend.split(' ').collect::<Vec<_>>());
        node.check(&attached).ok();
    }
    pod.set_sysctl("net/core/somaxconn", "518");
    node.check(&attached).fails().is(103, &["net.core.somaxconn", "517", "518"]);
    node.del(&attached).ok();
    // Who was not asked about the mode does not mind it.
    let attached = ground.attach(&tuning(node, json!({"mtu": 1400})));
    pod.run(&["ip", "link", "set", "eth0", "promisc", "on"]);
    node.check(&attached).ok();
}

#[test]
fn values_are_compared_as_the_kernel_reads_them() {
    let ground = Ground::new();
    let sysctl =
        json!({"net.core.somaxconn": "0x205", "net.ipv4.tcp_rmem": "4096 87380   6291456"});
    let attached = ground.attach(&tuning(&ground.node, json!({"sysctl": sysctl})));
    assert_eq!(ground.pod.sysctl("net/core/somaxconn"), "517");
    ground.node.check(&attached).ok();
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let sysctl = |key: &str| json!({"sysctl": {key: "1"}});
    chained::refused(
        all,
        &[
            (sysctl("kernel.hostname"), 7, &["sysctl", "kernel.hostname"]),
            (sysctl("net/../kernel/hostname"), 7, &["sysctl", "net/../kernel/hostname"]),
            (sysctl("net.ipv4..ip_forward"), 7, &["sysctl", "net.ipv4..ip_forward"]),
            (sysctl("net.no.such"), 100, &["no/such"]),
            (sysctl("net.ipv4.conf.eth7.arp_filter"), 100, &["eth7"]),
            (json!({"sysctl": {"net.core.somaxconn": "many"}}), 100, &["somaxconn", "many"]),
            (json!({"sysctl": {"net.core.somaxconn": 5}}), 6, &["sysctl.net.core.somaxconn", "5"]),
            (json!({"sysctl": []}), 6, &["sysctl"]),
            (
                json!({"sysctl": {"net.core.somaxconn": "1", "net/core/somaxconn": "2"}}),
                7,
                &["net/core/somaxconn", "twice"],
            ),
            (
                json!({"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.conf.eth0.arp_filter": "1"}}),
                7,
                &["eth0", "twice"],
            ),
            (
                json!({"args": {"cni": {"sysctl": {"kernel.x": "1"}}}}),
                7,
                &["args.cni.sysctl", "kernel.x"],
            ),
            (json!({"mac": "03:00:00:00:00:01"}), 7, &["mac", "03:00:00:00:00:01", "multicast"]),
            (json!({"mac": "00:00:00:00:00:00"}), 7, &["mac"]),
            (json!({"runtimeConfig": {"mac": "nonsense"}}), 7, &["runtimeConfig.mac", "nonsense"]),
            (json!({"args": {"cni": {"mac": "x"}}}), 7, &["args.cni.mac"]),
            (json!({"mtu": 67}), 7, &["mtu", "67"]),
            (json!({"mtu": 70000}), 7, &["mtu", "70000"]),
            (json!({"mtu": 1000}), 7, &["mtu", "1000", "1280"]),
            (json!({"args": {"cni": {"mtu": -5}}}), 7, &["args.cni.mtu", "-5"]),
            (json!({"txQLen": -1}), 7, &["txQLen", "-1"]),
            (json!({"txQLen": "long"}), 6, &["txQLen"]),
            (json!({"promisc": "yes"}), 6, &["promisc"]),
            (json!({"allmulti": 1}), 6, &["allmulti"]),
            (json!({"dataDir": "/proc/nowhere"}), 5, &["dataDir", "/proc/nowhere"]),
        ],
    );
}

#[test]
fn what_the_kernel_refuses_is_told_in_a_line_and_was_never_changed() {
    let ground = Ground::new();
    // The second one is the node's alone: a container may see it, and may not change it.
    for (key, value) in [("net.core.somaxconn", "many"), ("net.core.rmem_max", "1")] {
        let conf = tuning(&ground.node, json!({"sysctl": {key: value}}));
        let refused = ground.node.add(&ground.with_result(&conf), &ground.pod, "eth0");
        assert_eq!(refused.stderr, "", "{key}");
        let message = refused.fails();
        message.is(100, &[&key.replace('.', "/")]);
        assert!(!message.msg.contains('\n'), "{message:?}");
    }
}

#[test]
fn a_sysctl_that_is_there_twice_is_refused() {
    let ground = Ground::new();
    let before = ground.state();
    let twice = ground.with_result(&tuning(&ground.node, json!({}))).to_string();
    let twice = twice.replacen(
        '{',
        r#"{"sysctl": {"net.core.somaxconn": "1", "net.core.somaxconn": "2"},"#,
        1,
    );
    let call = ground.node.call("tuning").verb("ADD").pod(&ground.pod).ifname("eth0").stdin(twice);
    call.run().fails().is(7, &["net.core.somaxconn", "twice"]);
    same("a refusal", &before, &ground.state());
}

#[test]
fn without_the_interface_it_says_so() {
    let ground = Ground::new();
    let conf = ground.with_result(&all(&ground.node));
    ground.node.add(&conf, &ground.pod, "eth5").fails().is(3, &["eth5"]);
}

/// Calls the plugin where `/etc` has this allowlist.
fn with_allowlist(ground: &Ground, list: &str, verb: &str, conf: &Value) -> Output {
    let etc = ground.node.directory().join("etc");
    std::fs::create_dir_all(etc.join("cni/tuning")).unwrap();
    std::fs::write(etc.join("cni/tuning/allowlist.conf"), list).unwrap();
    let plugin = ground.node.plugins().join("tuning");
    let wrapper = ground.node.directory().join("in-etc");
    let script = format!(
        "#!/bin/sh\nexec unshare -m sh -c 'mount --bind {} /etc && exec {}'\n",
        etc.display(),
        plugin.display()
    );
    std::fs::write(&wrapper, script).unwrap();
    let path = wrapper.to_str().unwrap();
    ground.node.run(&["chmod", "755", path]);
    let call = ground.node.call(path).verb(verb).conf(conf);
    call.pod(&ground.pod).ifname("eth0").run()
}

#[test]
fn the_nodes_allowlist_counts_for_whole_names() {
    let ground = Ground::new();
    let conf = |key: &str| ground.with_result(&tuning(&ground.node, json!({"sysctl": {key: "1"}})));
    let list =
        "# what containers may have\nnet.core.somaxconn\n^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$\n";
    for (key, allowed) in [
        ("net.core.somaxconn", true),
        ("net/core/somaxconn", true),
        ("net.ipv4.conf.IFNAME.arp_filter", true),
        ("net.ipv4.conf.all.arp_filter", false),
        ("net.core.somaxconn_", false),
        ("net.ipv4.ip_forward", false),
    ] {
        for verb in ["ADD", "STATUS"] {
            let output = with_allowlist(&ground, list, verb, &conf(key));
            if allowed {
                output.ok();
            } else {
                output.fails().is(7, &["sysctl", key, "allowlist.conf"]);
            }
        }
    }
    let broken = with_allowlist(&ground, "net.(\n", "ADD", &conf("net.core.somaxconn"));
    broken.fails().is(7, &["allowlist.conf", "line 1", "net.("]);
}

#[test]
fn the_references_backup_is_understood_and_ours_has_its_members() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    let file = node.directory().join(format!("tuning/{}_eth0.json", pod.id));
    let attached = ground.attach(&all(node));
    let text = std::fs::read_to_string(&file).unwrap();
    let backup: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in [
        ("mtu", json!(1500)),
        ("promisc", json!(false)),
        ("allmulti", json!(false)),
        ("txQLen", json!(1000)),
    ] {
        assert_eq!(backup[key], value, "{text}");
    }
    assert_ne!(backup["mac"], MAC);
    // What the reference would have left.
    let theirs = json!({
        "mac": "02:00:00:00:0c:01", "promisc": false, "mtu": 1450, "allmulti": false, "txQLen": 500,
    });
    std::fs::write(&file, theirs.to_string()).unwrap();
    node.del(&attached).ok();
    let link = pod.link("eth0").unwrap();
    assert_eq!((&link["address"], &link["mtu"]), (&theirs["mac"], &theirs["mtu"]));
    assert_eq!((&link["txqlen"], &link["promiscuity"]), (&json!(500), &json!(0)));
    assert!(!file.exists());
}

#[test]
fn a_backup_that_nobody_can_read_is_removed() {
    let ground = Ground::new();
    let (node, pod) = (&ground.node, &ground.pod);
    let file = node.directory().join(format!("tuning/{}_eth0.json", pod.id));
    for garbage in ["", "{", "[]", "{\"mtu\": \"x\"}"] {
        let attached = ground.attach(&all(node));
        std::fs::write(&file, garbage).unwrap();
        node.del(&attached).ok();
        assert!(!file.exists(), "{garbage}");
    }
    let attached = ground.attach(&all(node));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    node.del(&attached).ok();
    // Nor is a name that no file can have.
    node.del(&Attachment { container: "c".repeat(250), ..attached.clone() }).ok();
    let conf = with(attached.conf.clone(), json!({"dataDir": "a\0b"}));
    node.del(&Attachment { conf, ..attached }).ok();
}

#[test]
fn a_second_add_without_a_del_keeps_what_was_before_the_first() {
    let ground = Ground::new();
    std::fs::create_dir_all(ground.node.directory().join("tuning")).unwrap();
    let before = ground.state();
    ground.attach(&all(&ground.node));
    let more = json!({"mtu": 1380, "sysctl": {"net.core.somaxconn": "600"}});
    let attached = ground.attach(&tuning(&ground.node, more));
    ground.node.del(&attached).ok();
    same("after two ADDs and a DEL", &before, &ground.state());
}

#[test]
fn status_tells_what_no_container_could_get() {
    let node = Node::new();
    node.status(&all(&node)).ok();
    let no_such = tuning(&node, json!({"sysctl": {"net.no.such": "1"}}));
    node.status(&no_such).fails().is(50, &["no/such"]);
    node.status(&tuning(&node, json!({"mtu": 5}))).fails().is(7, &["mtu"]);
}

#[test]
fn del_leaves_nothing_whatever_happened() {
    chained::teardown(
        all,
        &[
            json!({"sysctl": {"kernel.x": "1"}}),
            json!({"mac": "x"}),
            json!({"mtu": "large"}),
            json!({"prevResult": 7}),
        ],
    );
}

#[test]
fn gc_removes_what_is_not_listed() {
    chained::collects(all);
}

mod faults {
    crate::chained::stands_faults!(super::all);
}

#[test]
fn the_reference_and_ours_take_over_from_each_other() {
    need!(Reference);
    let reference = testkit::reference_directory().unwrap();
    for ours_first in [true, false] {
        let mut ground = Ground::new();
        std::fs::create_dir_all(ground.node.directory().join("tuning")).unwrap();
        let before = ground.state();
        let directories = if ours_first {
            [testkit::directory(), reference.as_path()]
        } else {
            [reference.as_path(), testkit::directory()]
        };
        let conf = json!({"mac": MAC, "mtu": 1400, "promisc": true, "allmulti": true, "cniVersion": "1.0.0"});
        let conf = tuning(&ground.node, conf);
        ground.node.use_plugins(directories[0]);
        let attached = ground.attach(&conf);
        ground.node.use_plugins(directories[1]);
        ground.node.check(&attached).ok();
        ground.node.del(&attached).ok();
        same("after a change of hands", &before, &ground.state());
    }
}
