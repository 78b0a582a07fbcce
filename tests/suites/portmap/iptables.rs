//! The back end of iptables, and attachments of the reference plugin, which look the same.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::{
    Attachment, Node, OUTSIDE_V4, OUTSIDE_V6, UPLINK_V4, UPLINK_V6, need, reference_directory,
};

use super::{Published, at, bridged, connect, is_closed, portmap, publish, routed, tcp, udp};
use crate::conf::with;

fn reference() -> PathBuf {
    reference_directory().expect("the reference plugins")
}

fn several() -> Value {
    portmap(&[tcp(8080, 80), udp(5353, 53), with(tcp(8081, 80), json!({"hostIP": UPLINK_V4}))])
}

/// What names the attachment in the ruleset.
fn traces(node: &Node) -> Vec<String> {
    let snapshot = node.snapshot();
    let lines = snapshot.section("nft").iter();
    lines.filter(|l| l.contains("CNI-DN-") || l.contains("CNI-SN-")).cloned().collect()
}

#[test]
fn the_same_ports_lead_into_the_container() {
    need!(Nft, Iptables, Speed);
    for network in [bridged, routed] {
        let node = Node::new();
        let outside = node.outside();
        let network = network(&node);
        let (pod, other) = (node.pod(), node.pod());
        let own = with(several(), json!({"backend": "iptables"}));
        node.status(&own).ok();
        let made = publish(&node, &pod, &network, &own);
        let beside = publish(
            &node,
            &other,
            &network,
            &with(portmap(&[tcp(9090, 80)]), json!({"backend": "iptables"})),
        );
        let [v4, v6] = [at(&made.ip(false), 80), at(&made.ip(true), 80)];
        for (from, dial, listen, seen) in [
            (&outside, at(UPLINK_V4, 8080), &v4, OUTSIDE_V4),
            (&outside, at(UPLINK_V4, 8081), &v4, OUTSIDE_V4),
            (&outside, at(UPLINK_V6, 8080), &v6, OUTSIDE_V6),
            (&node, "127.0.0.1:8080".to_owned(), &v4, "10.1.0.1"),
            (&pod, at(UPLINK_V4, 8080), &v4, "10.1.0.1"),
            (&other, at(UPLINK_V6, 8080), &v6, "fd00:1::1"),
        ] {
            assert_eq!(connect(from, &dial, &pod, listen).unwrap().to_string(), seen, "{dial}");
        }
        assert!(is_closed(&node, "127.0.0.1:8081"));
        for made in [&made, &beside] {
            node.check(&made.ports).ok();
        }
        // Again, and nothing is there twice.
        let before = node.snapshot();
        super::map(&node, &pod, &made.base, &own);
        super::map(&node, &other, &beside.base, &beside.ports.conf);
        assert_eq!(before.section("nft").len(), node.snapshot().section("nft").len());
        node.gc(&own, &[&beside.ports]).ok();
        node.check(&beside.ports).ok();
        node.check(&made.ports).fails().is(103, &["iptables"]);
        assert!(is_closed(&outside, &at(UPLINK_V4, 8080)));
        // DEL does not need to know who made it.
        let mut forgotten = beside.ports.clone();
        forgotten.conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
        forgotten.result = json!(null);
        node.del(&forgotten).ok();
        assert_eq!(traces(&node), [""; 0]);
        node.del(&made.ports).ok();
    }
}

#[test]
fn what_iptables_alone_knows_is_done_by_iptables() {
    need!(Nft, Iptables, Speed);
    let node = Node::new();
    let outside = node.outside();
    let pod = node.pod();
    let conditions =
        json!({"conditionsV4": ["!", "-s", "192.0.2.0/25"], "conditionsV6": ["-i", "up0"]});
    let made = publish(&node, &pod, &bridged(&node), &with(portmap(&[tcp(8080, 80)]), conditions));
    assert!(is_closed(&outside, &at(UPLINK_V4, 8080)));
    connect(&outside, &at(UPLINK_V6, 8080), &pod, &at(&made.ip(true), 80)).unwrap();
    node.check(&made.ports).ok();
    made.remove(&node);
    assert_eq!(traces(&node), [""; 0]);
}

#[test]
fn many_come_and_go_at_once() {
    need!(Nft, Iptables, Speed);
    let node = Node::new();
    let network = bridged(&node);
    let bases: Vec<_> =
        (0..10).map(|_| node.pod()).map(|pod| (node.attach(&network, &pod), pod)).collect();
    let conf = |index: usize| {
        let port = u16::try_from(8000 + index).unwrap();
        let own = with(portmap(&[tcp(port, 80)]), json!({"backend": "iptables"}));
        with(own, json!({"prevResult": bases[index].0.result}))
    };
    let at_once = |is_there: &(dyn Fn(usize) -> bool + Sync)| {
        std::thread::scope(|scope| {
            for (index, (_, pod)) in bases.iter().enumerate() {
                let (node, conf) = (&node, conf(index));
                scope.spawn(move || {
                    if is_there(index) {
                        node.attach(&conf, pod);
                    } else {
                        node.del(&node.unheard(&conf, pod)).ok();
                    }
                });
            }
        });
        for (index, (base, _)) in bases.iter().enumerate().filter(|(index, _)| is_there(*index)) {
            node.check(&Attachment { conf: conf(index), ..base.clone() }).ok();
        }
    };
    at_once(&|_| true);
    for tool in ["iptables", "ip6tables"] {
        let rules = node.run(&[tool, "-t", "nat", "-S", "PREROUTING"]);
        assert_eq!(rules.matches("-j CNI-HOSTPORT-DNAT").count(), 1, "{rules}");
    }
    at_once(&|index| index % 2 == 0);
    at_once(&|index| index % 2 == 1);
    at_once(&|_| false);
    assert_eq!(traces(&node), [""; 0]);
}

#[test]
fn what_iptables_refuses_is_told_with_the_option() {
    need!(Nft, Iptables, Speed);
    let node = Node::new();
    let pod = node.pod();
    let base = node.attach(&bridged(&node), &pod);
    for (key, value, word) in [
        ("conditionsV4", json!(["-p", "udp"]), "udp"),
        ("externalSetMarkChain", json!("NOBODYS-CHAIN"), "NOBODYS-CHAIN"),
    ] {
        let mut conf = with(portmap(&[tcp(8080, 80)]), json!({"prevResult": base.result}));
        conf[key] = value;
        let error = node.add(&conf, &pod, "eth0").fails();
        error.is(100, &["iptables", word]);
        assert!(error.details.contains(key), "{error:?}");
        assert_eq!(traces(&node), [""; 0]);
    }
}

/// An attachment of the reference, by one of its back ends. (Before 1.6 it has but one.)
fn by_reference(node: &Node, pod: &testkit::Pod, backend: &str) -> Published {
    let network = with(bridged(node), json!({"cniVersion": "1.0.0"}));
    let more = json!({"cniVersion": "1.0.0", "backend": backend});
    publish(node, pod, &network, &with(several(), more))
}

#[test]
fn attachments_of_the_reference_are_checked_and_deleted_by_ours() {
    need!(Reference, Nft, Iptables, Speed);
    for (backend, heard) in
        [("iptables", true), ("iptables", false), ("nftables", true), ("nftables", false)]
    {
        let mut node = Node::with_plugins(&reference());
        let pod = node.pod();
        let mut made = by_reference(&node, &pod, backend);
        node.use_plugins(testkit::directory());
        // Whatever made it: ours would do so by nf_tables.
        made.ports.conf["backend"] = Value::Null;
        node.check(&made.ports).ok();
        if !heard {
            made.ports.result = Value::Null;
            made.ports.conf["runtimeConfig"] = Value::Null;
        }
        node.del_call(&made.ports).env("CNI_NETNS", "").run().ok();
        assert_eq!(traces(&node), [""; 0]);
        let named = |line: &&String| {
            line.contains("cni_hostport") && line.contains(&format!("\"{}\"", pod.id))
        };
        let snapshot = node.snapshot();
        assert_eq!(snapshot.section("nft").iter().find(named), None);
        node.del(&made.ports).ok();
    }
}

#[test]
fn attachments_of_ours_by_iptables_are_deleted_by_the_reference() {
    need!(Reference, Nft, Iptables, Speed);
    let mut node = Node::new();
    let pod = node.pod();
    let network = with(bridged(&node), json!({"cniVersion": "1.0.0"}));
    let own = with(several(), json!({"cniVersion": "1.0.0", "backend": "iptables"}));
    let made = publish(&node, &pod, &network, &own);
    // (The reference's CHECK looks for the rules of either family in both, and always fails.)
    node.use_plugins(&reference());
    node.del(&made.ports).ok();
    assert_eq!(traces(&node), [""; 0]);
}

#[test]
fn both_stand_side_by_side() {
    need!(Reference, Nft, Iptables, Speed);
    let mut node = Node::with_plugins(&reference());
    let outside = node.outside();
    let (theirs, ours) = (node.pod(), node.pod());
    let old = by_reference(&node, &theirs, "iptables");
    node.use_plugins(testkit::directory());
    let new = publish(
        &node,
        &ours,
        &old.base.conf,
        &with(portmap(&[tcp(9090, 80)]), json!({"cniVersion": "1.0.0"})),
    );
    for (made, pod, port) in [(&old, &theirs, 8080), (&new, &ours, 9090)] {
        connect(&outside, &at(UPLINK_V4, port), pod, &at(&made.ip(false), 80)).unwrap();
        assert_eq!(
            connect(&node, &format!("127.0.0.1:{port}"), pod, &at(&made.ip(false), 80))
                .unwrap()
                .to_string(),
            "10.1.0.1"
        );
        node.check(&made.ports).ok();
    }
    // The reference's rules by nftables carry the container's id alone.
    let foreign = format!(
        "table ip cni_hostport {{\n chain hostports {{\n tcp dport 7 dnat to {}:7 comment \"{}\"\n tcp dport 8 dnat to 10.9.9.9:8 comment \"{}\"\n }}\n}}\n",
        new.ip(false),
        new.base.container,
        new.base.container
    );
    let file = node.directory().join("foreign.nft");
    std::fs::write(&file, foreign).unwrap();
    node.run(&["nft", "-f", file.to_str().unwrap()]);
    std::fs::remove_file(file).unwrap();
    node.del(&new.ports).ok();
    let left: Vec<_> = node
        .snapshot()
        .section("nft")
        .iter()
        .filter(|l| l.contains(&new.base.container))
        .cloned()
        .collect();
    assert!(
        left.iter()
            .all(|l| l.contains("10.9.9.9") || l.contains("pods-") || l.contains("\"podwire\"")),
        "{left:?}"
    );
    assert!(left.iter().any(|l| l.contains("10.9.9.9")), "of another network: {left:?}");
    node.check(&old.ports).ok();
}

#[test]
fn chains_of_iptables_legacy_are_found_too() {
    need!(Nft, Iptables, Speed);
    let tools = ["iptables", "ip6tables"].map(|name| format!("/usr/sbin/{name}-legacy"));
    if tools.iter().any(|tool| !std::path::Path::new(tool).exists()) {
        return testkit::not_run("there is no iptables-legacy");
    }
    let node = Node::new();
    let (one, two) = (node.pod(), node.pod());
    let network = bridged(&node);
    let bases = [node.attach(&network, &one), node.attach(&network, &two)];
    // The administrator chose it for the node.
    let chosen = node.directory().join("bin");
    std::fs::create_dir(&chosen).unwrap();
    for name in ["iptables", "ip6tables"] {
        for suffix in ["", "-restore"] {
            let tool = format!("/usr/sbin/{name}-legacy{suffix}");
            std::os::unix::fs::symlink(tool, chosen.join(format!("{name}{suffix}"))).unwrap();
        }
    }
    let path = format!("PATH={}:/usr/sbin:/usr/bin", chosen.display());
    let plugin = node.plugins().join("portmap").display().to_string();
    let call = |verb: &str, pod: &testkit::Pod, conf: &Value| {
        let [verb, id, netns] = [
            format!("CNI_COMMAND={verb}"),
            format!("CNI_CONTAINERID={}", pod.id),
            format!("CNI_NETNS={}", pod.path()),
        ];
        let cni_path = format!("CNI_PATH={}", node.plugins().display());
        let env = ["env", "-i", &path, &verb, &id, &netns, &cni_path, "CNI_IFNAME=eth0", &plugin];
        node.feed(&env, &conf.to_string()).unwrap()
    };
    let own = with(several(), json!({"backend": "iptables"}));
    for (pod, base) in [&one, &two].into_iter().zip(&bases) {
        let conf = with(own.clone(), json!({"prevResult": base.result}));
        call("ADD", pod, &conf);
        call("CHECK", pod, &conf);
    }
    let chains = || {
        let of = |tool: &String| node.run(&[tool, "-t", "nat", "-S"]).matches("-N CNI-DN-").count();
        tools.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!((chains(), traces(&node).len()), (vec![2, 2], 0));
    node.del(&node.unheard(&portmap(&[]), &one)).ok();
    assert_eq!(chains(), [1, 1]);
    node.gc(&portmap(&[]), &[]).ok();
    assert_eq!(chains(), [0, 0]);
}
