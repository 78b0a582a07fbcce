//! ADD, CHECK, DEL and GC, judged by nft.

use std::collections::BTreeSet;

use firewall::{Wanted, add, check, del, gc};

use crate::kit::{
    Namespace, antispoof, attachment, elements, ips, items, masquerade, ruleset, tool,
};

/// Masquerade and anti-spoofing of both families.
fn everything(container: &str) -> Wanted {
    let mut wanted = masquerade(attachment("net", container), &["10.1.0.5/16", "fd00:1::5/64"]);
    wanted.masquerade.as_mut().unwrap().exempt =
        vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    wanted.antispoof =
        antispoof(attachment("net", container), "veth0a1b2c3d", "0a:58:0a:01:00:05").antispoof;
    wanted
}

/// The names of the groups.
fn groups() -> Vec<String> {
    let chains = items("chain").into_iter();
    let names = chains.map(|chain| chain["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("pods-")).collect()
}

#[test]
fn nft_lists_what_an_add_made() {
    Namespace::new().run(|| {
        add(&everything("c1")).unwrap();
        // Versions of nft differ in where they break lines.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&ruleset()), words(include_str!("ruleset.nft")), "{}", ruleset());
    });
}

#[test]
fn nft_reads_back_in_what_it_lists() {
    Namespace::new().run(|| {
        add(&everything("c1")).unwrap();
        let before = ruleset();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("flush ruleset\n{before}")).unwrap();
        tool("nft", &["-f", file.path().to_str().unwrap()]);
        assert_eq!(ruleset(), before);
        del(&attachment("net", "c1"), None, Some(&"veth0a1b2c3d".parse().unwrap())).unwrap();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn a_ruleset_that_nft_saved_and_loaded_again_is_as_wanted() {
    Namespace::new().run(|| {
        // Every length of prefix is compiled in one of three ways.
        let mut wanted = masquerade(attachment("net", "c1"), &["10.1.2.5/24", "fd00:1::5/64"]);
        let exempt = &mut wanted.masquerade.as_mut().unwrap().exempt;
        for prefix in 0..=32 {
            exempt.push(format!("10.255.255.255/{prefix}").parse().unwrap());
        }
        for prefix in 0..=128 {
            exempt.push(format!("fd00:ffff:ffff:ffff::ffff/{prefix}").parse().unwrap());
        }
        wanted.antispoof =
            antispoof(attachment("net", "c1"), "veth1", "0a:58:0a:01:00:05").antispoof;
        add(&wanted).unwrap();
        let before = ruleset();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &before).unwrap();
        tool("nft", &["flush", "ruleset"]);
        tool("nft", &["-f", file.path().to_str().unwrap()]);
        assert_eq!(ruleset(), before);
        assert_eq!(check(&wanted).unwrap(), Vec::<String>::new());
        let known = ips(&["10.1.2.5", "fd00:1::5"]);
        del(&attachment("net", "c1"), Some(&known), Some(&"veth1".parse().unwrap())).unwrap();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn a_ruleset_that_was_loaded_over_itself_goes_with_the_last_del_or_is_mended_by_the_next_add() {
    Namespace::new().run(|| {
        let other = masquerade(attachment("net", "c2"), &["10.1.0.6/16"]);
        for mended in [true, false] {
            add(&everything("c1")).unwrap();
            add(&other).unwrap();
            let before = ruleset();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &before).unwrap();
            tool("nft", &["-f", file.path().to_str().unwrap()]);
            assert_ne!(ruleset(), before, "every rule is there twice");
            if mended {
                add(&everything("c1")).unwrap();
                add(&other).unwrap();
                assert_eq!(ruleset(), before);
            }
            let link = "veth0a1b2c3d".parse().unwrap();
            let known = ips(&["10.1.0.5", "fd00:1::5"]);
            del(&attachment("net", "c2"), Some(&ips(&["10.1.0.6"])), None).unwrap();
            del(&attachment("net", "c1"), Some(&known), Some(&link)).unwrap();
            assert_eq!(ruleset(), "");
        }
    });
}

#[test]
fn a_second_add_of_the_same_changes_nothing() {
    Namespace::new().run(|| {
        add(&everything("c1")).unwrap();
        let before = ruleset();
        add(&everything("c1")).unwrap();
        assert_eq!(ruleset(), before);
        assert_eq!(check(&everything("c1")).unwrap(), Vec::<String>::new());
    });
}

#[test]
fn del_leaves_nothing_and_succeeds_again() {
    Namespace::new().run(|| {
        let link = "veth0a1b2c3d".parse().unwrap();
        for known in [Some(ips(&["10.1.0.5", "fd00:1::5"])), None] {
            add(&everything("c1")).unwrap();
            for _ in 0..2 {
                del(&attachment("net", "c1"), known.as_deref(), Some(&link)).unwrap();
                assert_eq!(ruleset(), "");
            }
        }
    });
}

#[test]
fn del_leaves_others_alone() {
    Namespace::new().run(|| {
        add(&masquerade(attachment("net", "c1"), &["10.1.0.1/16"])).unwrap();
        add(&antispoof(attachment("net", "c1"), "veth1", "0a:58:0a:01:00:01")).unwrap();
        let before = ruleset();
        add(&masquerade(attachment("net", "c2"), &["10.1.0.2/16"])).unwrap();
        add(&masquerade(attachment("other", "c2"), &["10.2.0.2/16"])).unwrap();
        add(&antispoof(attachment("net", "c2"), "veth2", "0a:58:0a:01:00:02")).unwrap();
        assert_ne!(ruleset(), before);
        let link = "veth2".parse().unwrap();
        del(&attachment("net", "c2"), Some(&ips(&["10.1.0.2"])), Some(&link)).unwrap();
        del(&attachment("other", "c2"), None, None).unwrap();
        assert_eq!(ruleset(), before);
    });
}

#[test]
fn a_late_del_does_not_remove_the_next_owners_elements() {
    Namespace::new().run(|| {
        let old = attachment("net", "old");
        add(&masquerade(old.clone(), &["10.1.0.1/16"])).unwrap();
        // The address was given to the next container before the old one's DEL came.
        let new = masquerade(attachment("net", "new"), &["10.1.0.1/16"]);
        add(&new).unwrap();
        let before = ruleset();
        assert!(before.contains("net/new/eth0") && !before.contains("net/old"), "{before}");
        del(&old, Some(&ips(&["10.1.0.1"])), Some(&"veth1".parse().unwrap())).unwrap();
        del(&old, None, None).unwrap();
        assert_eq!(ruleset(), before);
        assert!(check(&new).unwrap().is_empty());
    });
}

#[test]
fn an_add_replaces_what_a_dead_attachment_left_under_its_address() {
    Namespace::new().run(|| {
        // The dead one's subnet was another, so it was of another group.
        add(&masquerade(attachment("net", "dead"), &["10.1.0.1/24"])).unwrap();
        add(&antispoof(attachment("net", "dead"), "veth1", "0a:58:0a:01:00:01")).unwrap();
        let new = masquerade(attachment("net", "new"), &["10.1.0.1/16"]);
        add(&new).unwrap();
        let guarded = antispoof(attachment("net", "new"), "veth1", "0a:58:0a:01:00:02");
        add(&guarded).unwrap();
        assert!(check(&new).unwrap().is_empty());
        assert!(check(&guarded).unwrap().is_empty());
        assert_eq!(elements("inet", "addresses4").len(), 1);
        assert_eq!(elements("bridge", "guarded").len(), 1);
        assert!(!ruleset().contains("10.1.0.0/24"), "a group without users: {}", ruleset());
        let allowed = elements("bridge", "allowed");
        assert!(allowed.len() == 1 && allowed[0].contains("0a:58:0a:01:00:02"), "{allowed:?}");
    });
}

#[test]
fn a_flushed_ruleset_is_made_again_by_the_next_add() {
    Namespace::new().run(|| {
        add(&everything("c1")).unwrap();
        let before = ruleset();
        let group = groups().remove(0);
        for damage in [
            "flush ruleset".to_owned(),
            "delete table bridge podwire".to_owned(),
            "flush chain bridge podwire prerouting".to_owned(),
            format!("flush set inet podwire {group}"),
            format!("flush chain inet podwire {group}\ndelete set inet podwire {group}"),
            format!("delete chain inet podwire {group}\ndelete map inet podwire addresses4"),
            format!("flush map inet podwire addresses4\ndelete counter inet podwire {group}"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &damage).unwrap();
            tool("nft", &["-f", file.path().to_str().unwrap()]);
            assert!(!check(&everything("c1")).unwrap().is_empty(), "{damage}");
            add(&everything("c1")).unwrap();
            assert_eq!(check(&everything("c1")).unwrap(), Vec::<String>::new(), "{damage}");
        }
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&ruleset()), sorted(&before));
    });
}

#[test]
fn an_add_mends_a_chain_that_was_emptied_deleted_or_changed_however_many_pods_there_are() {
    let pod = |number: u8| {
        let id = format!("c{number}");
        let addresses = [format!("10.1.0.{number}/16"), format!("fd00:1::{number}/64")];
        let mut wanted = masquerade(attachment("net", &id), &[&addresses[0], &addresses[1]]);
        let mac = format!("0a:58:0a:01:00:{number:02x}");
        wanted.antispoof =
            antispoof(wanted.attachment.clone(), &format!("veth{number}"), &mac).antispoof;
        wanted
    };
    for pods in [1, 4, 40] {
        Namespace::new().run(move || {
            (1..=pods).for_each(|number| add(&pod(number)).unwrap());
            let mut next = pods;
            let mut chains: Vec<_> =
                groups().into_iter().map(|group| format!("inet podwire {group}")).collect();
            chains.push("bridge podwire prerouting".to_owned());
            assert_eq!(chains.len(), 3);
            for chain in &chains {
                let (family, name) =
                    (chain.split(' ').next().unwrap(), chain.split(' ').next_back().unwrap());
                for damage in [
                    format!("flush chain {chain}"),
                    format!("delete chain {chain}"),
                    format!("replace rule {chain} handle LAST accept"),
                    format!("flush chain {chain}; add rule {chain} drop"),
                    format!("add rule {chain} accept"),
                    format!("insert rule {chain} accept"),
                ] {
                    let last = items("rule")
                        .into_iter()
                        .rfind(|rule| rule["family"] == family && rule["chain"] == name);
                    let handle = last.unwrap()["handle"].to_string();
                    let damage = damage.replace("LAST", &handle);
                    tool("nft", &[&damage]);
                    assert_ne!(check(&pod(1)).unwrap(), Vec::<String>::new(), "{damage}");
                    next += 1;
                    add(&pod(next)).unwrap();
                    for number in [1, next] {
                        assert_eq!(check(&pod(number)).unwrap(), Vec::<String>::new(), "{damage}");
                    }
                }
            }
            for number in 1..=next {
                let wanted = pod(number);
                let link = wanted.antispoof.unwrap().link;
                let known = [format!("10.1.0.{number}"), format!("fd00:1::{number}")];
                let known = ips(&[&known[0], &known[1]]);
                del(&wanted.attachment, Some(&known), Some(&link)).unwrap();
            }
            assert_eq!(ruleset(), "");
        });
    }
}

#[test]
fn check_tells_each_difference_in_words() {
    Namespace::new().run(|| {
        let wanted = everything("c1");
        let missing = check(&wanted).unwrap();
        assert!(missing.iter().any(|d| d.contains("masquerade of 10.1.0.5")), "{missing:?}");
        add(&wanted).unwrap();
        assert_eq!(check(&wanted).unwrap(), Vec::<String>::new());

        let foreign = everything("c2");
        let differences = check(&foreign).unwrap();
        assert!(differences[0].contains("belongs to \"net/c1/eth0\""), "{differences:?}");

        let mut less = wanted.clone();
        less.masquerade.as_mut().unwrap().exempt.clear();
        let differences = check(&less).unwrap();
        assert!(differences[0].contains("is counted in pods-"), "{differences:?}");
        assert!(differences[1].contains("is missing"), "not of that group: {differences:?}");

        let handle = items("rule")
            .into_iter()
            .find(|r| r["chain"].as_str().unwrap().starts_with("pods-"))
            .map(|r| (r["chain"].as_str().unwrap().to_owned(), r["handle"].to_string()))
            .unwrap();
        tool("nft", &["delete", "rule", "inet", "podwire", &handle.0, "handle", &handle.1]);
        tool("nft", &["flush", "chain", "bridge", "podwire", "prerouting"]);
        let differences = check(&wanted).unwrap().join("\n");
        assert!(differences.contains(&format!("rules of the chain {}", handle.0)), "{differences}");
        assert!(differences.contains("rules of the chain prerouting"), "{differences}");
        assert!(!differences.contains("is missing"), "{differences}");
        tool("nft", &["flush", "set", "bridge", "podwire", "allowed"]);
        tool("nft", &["flush", "set", "inet", "podwire", &handle.0]);
        let differences = check(&wanted).unwrap().join("\n");
        assert_eq!(differences.matches("is missing").count(), 2, "{differences}");
    });
}

#[test]
fn del_goes_on_where_half_was_removed_by_hand() {
    Namespace::new().run(|| {
        let known = ips(&["10.1.0.5", "fd00:1::5"]);
        let link = "veth0a1b2c3d".parse().unwrap();
        add(&everything("c1")).unwrap();
        tool("nft", &["flush", "set", "bridge", "podwire", "allowed"]);
        tool("nft", &["flush", "set", "inet", "podwire", &groups()[0]]);
        tool("nft", &["flush", "chain", "inet", "podwire", &groups()[1]]);
        del(&attachment("net", "c1"), Some(&known), Some(&link)).unwrap();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn what_somebody_elses_rule_uses_stays_and_the_elements_go() {
    Namespace::new().run(|| {
        for (container, address) in [("c1", "10.2.0.5/16"), ("c2", "10.1.0.5/16")] {
            add(&masquerade(attachment("net", container), &[address])).unwrap();
        }
        let group = groups().remove(0);
        tool("nft", &["add", "chain", "inet", "podwire", "theirs"]);
        let rule = format!("add rule inet podwire theirs ip saddr @{group} accept");
        tool("nft", &rule.split(' ').collect::<Vec<_>>());
        for container in ["c1", "c2"] {
            del(&attachment("net", container), None, None).unwrap();
        }
        assert_eq!(elements("inet", "addresses4").len(), 0);
        assert_eq!(elements("inet", &group).len(), 0);
        assert!(ruleset().contains("accept"), "{}", ruleset());
    });
}

#[test]
fn gc_removes_what_is_not_listed_and_nothing_of_other_networks() {
    Namespace::new().run(|| {
        let long = "c".repeat(140);
        for (container, address, link) in [
            ("c1", "10.1.0.1/16", "veth1"),
            ("c2", "10.1.0.2/16", "veth2"),
            (&long, "10.1.0.3/16", "veth3"),
        ] {
            add(&masquerade(attachment("net", container), &[address])).unwrap();
            add(&antispoof(attachment("net", container), link, "0a:58:0a:01:00:01")).unwrap();
        }
        add(&masquerade(attachment("net", "gone"), &["10.3.0.9/24", "fd00:3::9/64"])).unwrap();
        add(&masquerade(attachment("net2", "c9"), &["10.2.0.9/16"])).unwrap();

        let valid = |containers: &[&str]| -> BTreeSet<_> {
            let eth0 = || "eth0".parse().unwrap();
            containers.iter().map(|c| (c.parse().unwrap(), eth0())).collect()
        };
        gc(&"net".parse().unwrap(), &valid(&["c1", &long])).unwrap();
        let text = ruleset();
        assert!(text.contains("net/c1/eth0") && text.contains("net2/c9/eth0"), "{text}");
        assert!(!text.contains("net/c2/") && !text.contains("net/gone/"), "{text}");
        assert_eq!(elements("inet", "addresses4").len(), 3, "{text}");
        assert_eq!(elements("bridge", "guarded").len(), 2, "{text}");
        assert_eq!(elements("bridge", "allowed").len(), 2, "{text}");
        assert!(!text.contains("10.3.0.0/24"), "the chain of a subnet that is gone: {text}");

        gc(&"net".parse().unwrap(), &valid(&[])).unwrap();
        gc(&"net2".parse().unwrap(), &valid(&["c9"])).unwrap();
        let text = ruleset();
        assert!(text.contains("net2/c9/eth0") && !text.contains("bridge"), "{text}");
        gc(&"net2".parse().unwrap(), &valid(&[])).unwrap();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn status_is_fine_here_and_leaves_no_trace() {
    Namespace::new().run(|| {
        firewall::status().unwrap();
        firewall::antispoof_status().unwrap();
        assert_eq!(ruleset(), "");
        add(&everything("c1")).unwrap();
        firewall::status().unwrap();
        firewall::antispoof_status().unwrap();
    });
}
