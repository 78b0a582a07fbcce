//! The removal of what the reference plugins made: they ADD, we DEL, and nft and iptables say that
//! nothing of it is left and that the neighbour's is.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use cni::Attachment;
use firewall::{add, check, del, gc};
use serde_json::json;

use crate::kit::{Namespace, antispoof, attachment, ips, masquerade, tool};

/// The reference plugins, where there are any; else the test is recorded as not run.
fn reference() -> Option<PathBuf> {
    let found = testkit::reference_directory();
    if found.is_none() {
        testkit::not_run("the reference plugins are not installed");
    }
    found
}

/// What the reference plugins are told, and by which iptables they do it.
#[derive(Clone)]
struct Node {
    plugins: PathBuf,
    backend: &'static str,
    path: String,
    container: String,
}

impl Node {
    /// `None` when the plugins are missing.
    fn new(backend: &'static str, container: &Namespace) -> Option<Self> {
        let path = std::env::var("PATH").unwrap();
        // The directory of the thread is the one place where its namespace has a name.
        let task = format!("/proc/{}/task/{}/ns/net", std::process::id(), container.task);
        Some(Self { plugins: reference()?, backend, path, container: task })
    }

    /// The bridge plugin's ADD with masquerade and `macspoofchk`.
    fn add(&self, attachment: &Attachment, addresses: &[&str]) {
        let addresses: Vec<_> = addresses.iter().map(|a| json!({ "address": a })).collect();
        let config = json!({
            "cniVersion": "1.0.0", "name": attachment.network.as_str(), "type": "bridge",
            "bridge": "br0", "ipMasq": true, "ipMasqBackend": self.backend, "macspoofchk": true,
            "ipam": { "type": "static", "addresses": addresses },
        });
        let mut child = Command::new(self.plugins.join("bridge"))
            .env("CNI_COMMAND", "ADD")
            .env("CNI_CONTAINERID", attachment.container.as_str())
            .env("CNI_IFNAME", attachment.ifname.as_str())
            .env("CNI_NETNS", &self.container)
            .env("CNI_PATH", &self.plugins)
            .env("PATH", &self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(config.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "the reference bridge plugin: {said}");
    }
}

/// The ruleset without the counters' values.
fn ruleset() -> String {
    without_counts(&tool("nft", &["list", "ruleset"]))
}

fn without_counts(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit();
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        let kept = words.iter().enumerate().map(|(at, word)| {
            let counted = at > 0 && matches!(words[at - 1], "packets" | "bytes");
            if counted || word.starts_with('[') { word.replace(digits, "") } else { (*word).into() }
        });
        lines.push(kept.collect::<Vec<String>>().join(" "));
    }
    lines.join("\n")
}

#[test]
fn del_removes_what_the_reference_made_in_nf_tables_and_leaves_the_neighbours() {
    for backend in ["nftables", "iptables"] {
        for known in [Some(&["10.1.0.5", "fd00:1::5"][..]), None] {
            let (node, container) = (Namespace::new(), Namespace::new());
            let Some(reference) = Node::new(backend, &container) else { return };
            node.run(move || {
                let c1 = attachment("net", "c1");
                reference.add(&attachment("net", "c0"), &["10.1.0.4/16", "fd00:1::4/64"]);
                container.ip("link delete eth0");
                let before = ruleset();
                reference.add(&c1, &["10.1.0.5/16", "fd00:1::5/64"]);
                let between = ruleset();
                assert!(between.contains("10.1.0.5") && between.contains("fd00:1::5"), "{between}");
                assert!(between.contains("macspoofchk-c1-eth0"), "{between}");

                // What the reference made counts in our CHECK.
                let mut wanted = masquerade(c1.clone(), &["10.1.0.5/16", "fd00:1::5/64"]);
                wanted.antispoof = antispoof(c1.clone(), "veth1", "0a:58:0a:01:00:05").antispoof;
                assert_eq!(check(&wanted).unwrap(), Vec::<String>::new());

                for _ in 0..2 {
                    let known = known.map(ips);
                    del(&c1, known.as_deref(), Some(&"veth1".parse().unwrap())).unwrap();
                    assert_eq!(ruleset(), before, "{backend}, {known:?}");
                }
                assert!(!check(&wanted).unwrap().is_empty());
                del(&attachment("net", "c0"), None, None).unwrap();
                let after = ruleset();
                assert!(!after.contains("10.1.0.4") && !after.contains("CNI-"), "{after}");
                assert!(!after.contains("macspoofchk"), "{after}");
            });
        }
    }
}

#[test]
fn a_container_id_that_is_too_long_for_the_reference_chains_is_no_hindrance() {
    Namespace::new().run(|| {
        // The longest ids with which cni-br-iface-ID-eth0-mac, and without "-mac", are names that
        // the kernel takes are of 233 and 237 characters.
        for length in [230, 233, 234, 237, 238, 255] {
            let id = "a".repeat(length);
            let mut wanted = masquerade(attachment("net", &id), &["10.1.0.5/16"]);
            wanted.antispoof =
                antispoof(attachment("net", &id), "veth1", "0a:58:0a:01:00:05").antispoof;
            add(&wanted).unwrap();
            assert_eq!(check(&wanted).unwrap(), Vec::<String>::new());
            // What the reference plugins might have made.
            let (spoof, mac) =
                (format!("cni-br-iface-{id}-eth0"), format!("cni-br-iface-{id}-eth0-mac"));
            let mut theirs =
                String::from("add table bridge nat\nadd chain bridge nat PREROUTING\n");
            for chain in [&spoof, &mac].into_iter().filter(|chain| chain.len() <= 255) {
                theirs.push_str(&["add chain bridge nat ", chain, "\n"].concat());
            }
            if spoof.len() <= 255 {
                theirs.push_str(&["add rule bridge nat PREROUTING jump ", &spoof].concat());
            }
            theirs.push('\n');
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), theirs).unwrap();
            tool("nft", &["-f", file.path().to_str().unwrap()]);
            for known in [Some(ips(&["10.1.0.5"])), None] {
                let link = "veth1".parse().unwrap();
                del(&attachment("net", &id), known.as_deref(), Some(&link)).unwrap();
                assert!(!ruleset().contains(&id[..60]), "{length}: {}", ruleset());
                assert!(!ruleset().contains("podwire"), "{length}: {}", ruleset());
            }
        }
    });
}

#[test]
fn two_interfaces_of_a_container_share_the_reference_chain_until_the_last_goes() {
    let (node, container) = (Namespace::new(), Namespace::new());
    let Some(reference) = Node::new("iptables", &container) else { return };
    node.run(move || {
        let first = attachment("net", "c1");
        let mut second = first.clone();
        second.ifname = "eth1".parse().unwrap();
        reference.add(&first, &["10.1.0.5/16"]);
        let before = ruleset();
        reference.add(&second, &["10.1.0.6/16"]);
        del(&second, Some(&ips(&["10.1.0.6"])), None).unwrap();
        assert_eq!(ruleset(), before);
        del(&first, Some(&ips(&["10.1.0.5"])), None).unwrap();
        assert!(!ruleset().contains("CNI-"), "{}", ruleset());
    });
}

#[test]
fn del_removes_what_the_reference_made_with_iptables_legacy() {
    let (node, container) = (Namespace::new(), Namespace::new());
    let Some(mut reference) = Node::new("iptables", &container) else { return };
    let tools = tempfile::tempdir().unwrap();
    for name in ["iptables", "ip6tables"] {
        let legacy = format!("/usr/sbin/{name}-legacy");
        std::os::unix::fs::symlink(legacy, tools.path().join(name)).unwrap();
    }
    reference.path = format!("{}:{}", tools.path().display(), reference.path);
    node.run(move || {
        let save = || {
            let both = ["iptables-legacy-save", "ip6tables-legacy-save"];
            both.map(|save| without_counts(&tool(save, &["-t", "nat"])))
        };
        for known in [Some(&["10.1.0.5", "fd00:1::5"][..]), None] {
            reference.add(&attachment("net", "c0"), &["10.1.0.4/16", "fd00:1::4/64"]);
            container.ip("link delete eth0");
            let before = save();
            reference.add(&attachment("net", "c1"), &["10.1.0.5/16", "fd00:1::5/64"]);
            container.ip("link delete eth0");
            assert!(save()[0].contains("10.1.0.5") && save()[1].contains("fd00:1::5"));
            for _ in 0..2 {
                del(&attachment("net", "c1"), known.map(ips).as_deref(), None).unwrap();
                assert_eq!(save(), before, "{known:?}");
            }
            del(&attachment("net", "c0"), None, None).unwrap();
            assert!(!save().concat().contains("CNI-"), "{:?}", save());
        }
    });
}

#[test]
fn gc_removes_the_reference_masquerade_of_attachments_that_are_gone() {
    let (node, container) = (Namespace::new(), Namespace::new());
    let Some(reference) = Node::new("nftables", &container) else { return };
    node.run(move || {
        for (network, id, address) in [
            ("net", "c1", "10.1.0.1/16"),
            ("net", "c2", "10.1.0.2/16"),
            ("net2", "c2", "10.1.0.3/16"),
        ] {
            reference.add(&attachment(network, id), &[address]);
            container.ip("link delete eth0");
        }
        let valid = BTreeSet::from([("c1".parse().unwrap(), "eth0".parse().unwrap())]);
        gc(&"net".parse().unwrap(), &valid).unwrap();
        let rules =
            tool("nft", &["list", "chain", "inet", "cni_plugins_masquerade", "masq_checks"]);
        assert!(rules.contains("10.1.0.1") && rules.contains("10.1.0.3"), "{rules}");
        assert!(!rules.contains("10.1.0.2"), "{rules}");
    });
}
